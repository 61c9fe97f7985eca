#include "bench/report.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/report_builder.h"

using namespace sni::bench;
using namespace sni::test;

namespace {

std::size_t characters(const std::string& line) {
  return static_cast<std::size_t>(
      std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; }));
}

const Row& row_of(const Report& report, const std::string& id) {
  return *std::ranges::find(report.rows, id, &Row::id);
}

}  // namespace

TEST_CASE("a figure is the median of the rounds, with its spread and the median of the ratios") {
  ReportBuilder builder;
  builder.row("userspace", RowKind::plane)
      .row("haproxy", RowKind::peer)
      .values("userspace", "pingpong-64", "rate", {100, 200, 400})
      .values("haproxy", "pingpong-64", "rate", {50, 160, 200});
  const Report& report = builder.get();
  const Figure figure_of = figure(report, row_of(report, "haproxy"), metric_of("pingpong-64.rate"));
  CHECK(figure_of.median == 160);
  CHECK(figure_of.spread == doctest::Approx(75.0 / 160));
  // 0.5, 0.8, 0.5: each round's pair shares the machine's pace of the moment.
  CHECK(figure_of.ratio == doctest::Approx(0.5));
}

TEST_CASE("if the proxy had two places, a figure is the geometric mean of both medians") {
  ReportBuilder builder;
  builder.row("userspace", RowKind::plane)
      .row("haproxy", RowKind::peer)
      .values("userspace", "up-1", "gbit_s", {10, 40, 10, 40, 10, 40})
      .values("haproxy", "up-1", "gbit_s", {5, 80, 6, 90, 5, 80})
      .two_places();
  const Report& report = builder.get();
  const Figure figure_of = figure(report, row_of(report, "haproxy"), metric_of("up-1.gbit_s"));
  CHECK(figure_of.median == doctest::Approx(20));   // Of 5 and 80.
  CHECK(figure_of.ratio == doctest::Approx(1));     // Of 0.5 and 2.
  CHECK(figure_of.spread == doctest::Approx(0.1));  // (6 - 5) / 2 / 5, (90 - 80) / 2 / 80
}

TEST_CASE("a row that did not reach a fixed load has no figure there") {
  ReportBuilder builder;
  builder.row("userspace", RowKind::plane).values("userspace", "fixed-bulk", "gbit_s", {3.1});
  const Report& report = builder.get();
  const Figure none = figure(report, report.rows[0], metric_of("fixed-bulk.cpu_s_per_gb"));
  CHECK(std::isnan(none.median));
  CHECK(valid(report));
  CHECK(text_report(report).find(" - ") != std::string::npos);
}

TEST_CASE("a sample with faults does not count, and makes the row and the run invalid") {
  ReportBuilder builder;
  builder.row("userspace", RowKind::plane)
      .values("userspace", "down-1", "gbit_s", {10, 99})
      .fault("userspace", "down-1", 2, "bytes were lost");
  const Report& report = builder.get();
  CHECK(figure(report, report.rows[0], metric_of("down-1.gbit_s")).median == 10);
  CHECK_FALSE(valid(report));
  const std::string text = text_report(report);
  CHECK(text.find("! userspace") != std::string::npos);
  CHECK(text.find("down-1: bytes were lost") != std::string::npos);
}

TEST_CASE("a fault that strikes everywhere is said once") {
  ReportBuilder builder;
  builder.row("userspace", RowKind::plane);
  for (const char* column : {"down-1", "up-1", "both-1"}) {
    builder.fault("userspace", column, 1, "did not start")
        .fault("userspace", column, 2, "did not start");
  }
  const auto said = faults(builder.get(), builder.get().rows[0]);
  REQUIRE(said.size() == 1);
  CHECK(said[0] == "down-1 and 2 more: did not start");
}

TEST_CASE("the text fits into 100 columns, faults that quote a program included") {
  auto builder = full_report();
  builder.fault("blocking/userspace", "down-1", 1,
                "did not start: " + std::string(700, 'x') + "\ny");
  std::istringstream lines(text_report(builder.get()));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    CHECK_MESSAGE(characters(line) <= 100, line);
  }
  CHECK(count > 50);
}

TEST_CASE("neighbouring cells of the text never touch") {
  std::istringstream lines(text_report(full_report().get()));
  for (std::string line; std::getline(lines, line);) {
    // After a ratio comes a blank or the end.
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      if (line[i] == 'x' && i > 0 && std::isdigit(static_cast<unsigned char>(line[i - 1])) != 0) {
        CHECK_MESSAGE(line[i + 1] == ' ', line);
      }
    }
  }
}

TEST_CASE("a machine that was busy before any load is pointed out") {
  Report report = full_report().get();
  report.idle_busy = {0.01, 0.02, 0.9};
  CHECK(text_report(report).find("busy before") == std::string::npos);
  report.idle_busy = {1.5, 1.9, 0.02};
  CHECK(text_report(report).find("busy before any load (1.50 CPUs)") != std::string::npos);
  CHECK(json_report(report).find("busy before any load (1.50 CPUs)") != std::string::npos);
}

TEST_CASE("if a proxy comes near the direct row, the load generator is named as the limit") {
  ReportBuilder builder;
  builder.row("direct", RowKind::direct)
      .row("userspace", RowKind::plane)
      .values("direct", "down-1", "gbit_s", {12})
      .values("userspace", "down-1", "gbit_s", {10})
      .values("direct", "up-1", "gbit_s", {14})
      .values("userspace", "up-1", "gbit_s", {10});
  const auto said = cautions(builder.get());
  REQUIRE(said.size() == 1);
  CHECK(said[0].ends_with(": down-1."));
}

TEST_CASE("numbers are short and keep three digits") {
  CHECK(format_number(71'234, "/s") == "71.2k");
  CHECK(format_number(5.1234, "Gbit/s") == "5.12");
  CHECK(format_number(0.0456, "s") == "0.046");
  CHECK(format_number(1536, "B") == "1.50 KiB");
  CHECK(format_number(912, "B") == "912");
  CHECK(format_number(700e6, "B") == "668 MiB");
  CHECK(format_number(NAN, "B") == "-");
}

TEST_CASE("the expectations stand beside the best plane, never beside a peer") {
  ReportBuilder builder;
  builder.row("userspace", RowKind::plane)
      .row("sockhash", RowKind::plane)
      .row("auto", RowKind::plane)
      .row("haproxy", RowKind::peer)
      .values("userspace", "down-1", "gbit_s", {10})
      .values("sockhash", "down-1", "gbit_s", {13})
      .values("auto", "down-1", "gbit_s", {12})
      .values("haproxy", "down-1", "gbit_s", {90})
      .values("userspace", "fixed-bulk", "cpu_s_per_gb", {1.0})
      .values("sockhash", "fixed-bulk", "cpu_s_per_gb", {0.8})
      .values("auto", "fixed-bulk", "cpu_s_per_gb", {0.7});
  const auto all = expectations(builder.get());
  REQUIRE(all.size() == 3);
  CHECK(all[0].best_row.empty());
  CHECK(all[1].best_row == "sockhash");
  CHECK(all[1].ratio == doctest::Approx(1.3));
  CHECK(all[2].best_row == "auto");
  CHECK(all[2].ratio == doctest::Approx(0.7));
}

TEST_CASE("the JSON holds every sample and the figures of the tables") {
  auto builder = full_report();
  builder.fault("haproxy-tuned", "down-1", 1, "not UTF-8: \xff");
  const Report& report = builder.get();
  const auto json = nlohmann::json::parse(json_report(report));
  CHECK(json["machine"]["cpu"] == report.machine.at("cpu"));
  CHECK(json["valid"] == false);
  REQUIRE(json["samples"].size() == report.samples.size());
  for (std::size_t i = 0; i < report.samples.size(); ++i) {
    const Sample& sample = report.samples[i];
    CHECK(json["samples"][i]["row"] == sample.row);
    CHECK(json["samples"][i]["round"] == sample.round);
    for (const auto& [name, value] : sample.outcome.values) {
      CHECK(json["samples"][i]["values"][name].get<double>() == value);
    }
    CHECK(json["samples"][i]["latency_us"].size() == sample.outcome.latency.size());
  }
  for (std::size_t i = 0; i < report.rows.size(); ++i) {
    const Figure expected = figure(report, report.rows[i], metric_of("pingpong-64.rate"));
    const auto& found = json["rows"][i]["figures"]["pingpong-64.rate"];
    CHECK(found["median"].get<double>() == expected.median);
    CHECK(found["ratio"].get<double>() == expected.ratio);
  }
}
