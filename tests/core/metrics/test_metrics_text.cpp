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
  const std::string text = metrics_text(totals(workers), workers, {}, {});
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
  for (const std::uint64_t ms : {1UL, 2UL, 250UL, 20'000UL}) counters.connect_times.add(ms);
  const std::array<const Counters*, 1> workers{&counters};
  const std::string text = metrics_text(totals(workers), workers, {}, {});
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
      {}, {}, {.version = "1\"}\n2\\", .serving = true, .connections = 7, .descriptors = 40}, {});
  CHECK(has_line(text, "sni_proxy_build_info{version=\"1\\\"} 2\\\\\"} 1"));
  CHECK(has_line(text, "sni_proxy_ready 1"));
  CHECK(has_line(text, "sni_proxy_connections 7"));
  CHECK(has_line(text, "sni_proxy_descriptors 40"));
}

TEST_CASE("traffic has a label for each key, and one for all that has no row") {
  const std::array<TrafficFamily, 1> families{
      {{.kind = TrafficKind::route,
        .report = {.rows = {{"a.example", {3, 10, 20}}, {"", {1, 0, 0}}}, .other = {2, 5, 6}}}}};
  const std::string text = metrics_text({}, {}, {}, families);
  for (const char* line :
       {"_connections_total{route=\"a.example\"} 3", "_connections_total{route=\"(none)\"} 1",
        "_connections_total{route=\"(other)\"} 2",
        "_bytes_total{route=\"a.example\",direction=\"up\"} 10",
        "_bytes_total{route=\"a.example\",direction=\"down\"} 20",
        "_bytes_total{route=\"(other)\",direction=\"down\"} 6"}) {
    CAPTURE(line);
    CHECK(has_line(text, std::string("sni_proxy_route") + line));
  }
}

TEST_CASE("no label appears twice, whatever the name of a key") {
  const std::array<TrafficFamily, 1> families{
      {{.kind = TrafficKind::name,
        .report = {.rows = {{"(none)", {1, 0, 0}}, {"", {1, 0, 0}}, {"(other)", {1, 0, 0}}},
                   .other = {2, 0, 0}}}}};
  const std::string text = metrics_text({}, {}, {}, families);
  CHECK(has_line(text, "sni_proxy_name_connections_total{name=\"(none)\"} 2"));
  CHECK(has_line(text, "sni_proxy_name_connections_total{name=\"(other)\"} 3"));
}

TEST_CASE("packets dropped by XDP are exported by reason") {
  const std::string text =
      metrics_text({}, {}, {.xdp_drops = {{.reason = "banned", .packets = 7}}}, {});
  CHECK(has_line(text, "sni_proxy_xdp_dropped_packets_total{reason=\"banned\"} 7"));
}
