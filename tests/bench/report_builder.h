#pragma once

// A Report made by hand: rows and samples like those of a run.

#include <string>
#include <utility>

#include "bench/report.h"

namespace sni::test {

class ReportBuilder {
 public:
  ReportBuilder() {
    report_.mode = "namespaces";
    report_.started = "2026-01-02T03:04:05Z";
    report_.machine = {{"kernel", "6.12.0"}, {"cpu", "A CPU <of> \"note\" & more"}, {"cpus", "2"}};
    report_.settings = {{"rounds", 3}, {"window_s", 0.5}};
  }

  ReportBuilder& row(const std::string& id, bench::RowKind kind, const std::string& group = "") {
    report_.groups[group] = group.empty() ? "routed" : "beside the proxy";
    report_.rows.push_back({.id = group + id,
                            .title = "the row " + id,
                            .group = group,
                            .base = group + "userspace",
                            .kind = kind,
                            .version = kind == bench::RowKind::peer ? "1.2" : ""});
    return *this;
  }

  // One value per round, beginning with round 1.
  ReportBuilder& values(const std::string& row, const std::string& column, const std::string& value,
                        const std::vector<double>& rounds) {
    for (std::size_t i = 0; i < rounds.size(); ++i) {
      sample(row, column, static_cast<int>(i) + 1).outcome.values[value] = rounds[i];
    }
    return *this;
  }

  ReportBuilder& fault(const std::string& row, const std::string& column, int round,
                       std::string what) {
    sample(row, column, round).outcome.faults.push_back(std::move(what));
    return *this;
  }

  // Odd rounds in one place of the proxy, even ones in another.
  ReportBuilder& two_places() {
    for (bench::Sample& each : report_.samples) each.place = each.round % 2;
    return *this;
  }

  // Every metric of every row, with a curve where a column has latencies.
  ReportBuilder& everything() {
    double base = 1;
    for (const bench::Row& row : report_.rows) {
      for (const bench::Metric& metric : bench::metrics()) {
        const double value = base * (metric.unit == "/s"  ? 98'765
                                     : metric.unit == "B" ? 7e8
                                                          : 12.3);
        values(row.id, std::string(metric.column), std::string(metric.value),
               {value, value * 1.1, value * 3.05});
      }
      base *= 1.7;
    }
    for (bench::Sample& each : report_.samples) {
      if (each.outcome.values.contains("p50_us")) {
        each.outcome.latency = {{0.0, 3.0}, {0.5, 40.0}, {0.99, 400.0}, {0.9999, 12'000.0}};
      }
    }
    return *this;
  }

  const bench::Report& get() const { return report_; }

 private:
  bench::Sample& sample(const std::string& row, const std::string& column, int round) {
    for (bench::Sample& each : report_.samples) {
      if (each.row == row && each.column == column && each.round == round) return each;
    }
    report_.samples.push_back({.row = row, .column = column, .round = round, .outcome = {}});
    return report_.samples.back();
  }

  bench::Report report_;
};

// Two groups with a plane to compare, and a peer.
inline ReportBuilder full_report() {
  using bench::RowKind;
  ReportBuilder builder;
  builder.row("direct", RowKind::direct)
      .row("userspace", RowKind::plane)
      .row("sockhash", RowKind::plane)
      .row("haproxy-tuned", RowKind::peer)
      .row("direct", RowKind::direct, "blocking/")
      .row("userspace", RowKind::plane, "blocking/")
      .everything();
  return builder;
}

}  // namespace sni::test
