#include "core/metrics/metrics_text.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

#include "core/session/totals.h"

using namespace sni;

namespace {

bool has_line(const std::string& text, const std::string& line) {
  return text.starts_with(line + "\n") || text.find("\n" + line + "\n") != text.npos;
}

}  // namespace

TEST_CASE("every row of the totals is exported, summed over the workers") {
  Counters first;
  Counters second;
  first.accepted.add(2);
  second.accepted.add(3);
  second.ended[static_cast<std::size_t>(EndReason::killed)].add(4);
  const std::array<const Counters*, 2> workers{&first, &second};
  const std::string text = metrics_text(workers, {});
  CHECK(has_line(text, "sni_proxy_accepted_total 5"));
  CHECK(has_line(text, "sni_proxy_ended_total{end=\"killed\"} 4"));
  for (const Total& row : totals(workers)) {
    const std::string label = row.reason.empty() ? " " : "=\"" + std::string(row.reason) + "\"} ";
    CAPTURE(row.name);
    CAPTURE(row.reason);
    const std::size_t at = text.find("\nsni_proxy_" + std::string(row.name) + "_total");
    REQUIRE(at != text.npos);
    CHECK(text.find(label + std::to_string(row.value) + "\n", at) != text.npos);
  }
}

TEST_CASE("buckets of a histogram hold all that is not longer, and end with all") {
  Counters counters;
  for (const std::uint64_t ms : {1, 2, 250, 20'000}) counters.connect_times.add(ms);
  const std::array<const Counters*, 1> workers{&counters};
  const std::string text = metrics_text(workers, {});
  CHECK(has_line(text, "# TYPE sni_proxy_connect_seconds histogram"));
  for (const char* line :
       {"_bucket{le=\"0.001\"} 1", "_bucket{le=\"0.002\"} 2", "_bucket{le=\"0.1\"} 2",
        "_bucket{le=\"0.25\"} 3", "_bucket{le=\"10\"} 3", "_bucket{le=\"+Inf\"} 4", "_sum 20.253",
        "_count 4"}) {
    CAPTURE(line);
    CHECK(has_line(text, std::string("sni_proxy_connect_seconds") + line));
  }
}

TEST_CASE("the state of the process is there, and a label cannot be left by its value") {
  const std::string text = metrics_text(
      {}, {.version = "1\"}\n2\\", .serving = true, .connections = 7, .descriptors = 40});
  CHECK(has_line(text, "sni_proxy_build_info{version=\"1}2\"} 1"));
  CHECK(has_line(text, "sni_proxy_ready 1"));
  CHECK(has_line(text, "sni_proxy_connections 7"));
  CHECK(has_line(text, "sni_proxy_descriptors 40"));
}
