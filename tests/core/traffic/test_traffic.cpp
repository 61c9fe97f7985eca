#include "core/traffic/traffic.h"

#include <doctest/doctest.h>

#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

using namespace sni;

namespace {

FlowRecord record(const char* client, std::string name) {
  FlowRecord flow;
  flow.client = *parse_endpoint(client);
  flow.server_name = std::move(name);
  auto listener = std::make_shared<ListenerConfig>();
  listener->name = "https";
  flow.listener = std::move(listener);
  flow.plane = PlaneId::userspace;
  return flow;
}

constexpr TrafficCount some{.connections = 1, .to_backend = 10, .to_client = 20};

// `count` names of 16 bytes that std::hash<std::string> of libstdc++ cannot tell apart. It is
// MurmurHash64A with a known seed, whose rounds are invertible: the second half of each name undoes
// what the first did (_Hash_bytes in libsupc++/hash_bytes.cc).
std::vector<std::string> colliding_names(std::size_t count) {
  constexpr std::uint64_t factor = 0xc6a4'a793'5bd1'e995;
  constexpr std::uint64_t seed = 0xc70f'6907;
  constexpr std::size_t length = 16;
  std::uint64_t inverse = factor;  // Modulo 2^64, by Newton's iteration.
  for (int i = 0; i < 6; ++i) inverse *= 2 - factor * inverse;
  const auto mix = [](std::uint64_t value) { return value ^ (value >> 47); };  // Undoes itself.
  std::vector<std::string> names;
  for (std::uint64_t first = 1; first <= count; ++first) {
    const std::uint64_t after =
        ((seed ^ (length * factor)) ^ mix(first * factor) * factor) * factor;
    const std::uint64_t second = mix(after * inverse) * inverse;
    std::string name(length, '\0');
    std::memcpy(name.data(), &first, sizeof first);
    std::memcpy(name.data() + sizeof first, &second, sizeof second);
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

TEST_CASE("a flow is counted once under each kind") {
  Traffic traffic({1, 2});
  traffic.add(record("192.0.2.1:1000", "a.example"), some, true);
  traffic.add(record("192.0.2.1:1001", "b.example"), some, true);
  const TrafficReport names = traffic.report(TrafficKind::name);
  CHECK(names.rows.size() == 2);
  for (const auto& [kind, key] :
       {std::pair(TrafficKind::source, "192.0.2.1"), std::pair(TrafficKind::listener, "https"),
        std::pair(TrafficKind::plane, "userspace"), std::pair(TrafficKind::route, ""),
        std::pair(TrafficKind::backend, "")}) {
    CAPTURE(key);
    const TrafficReport report = traffic.report(kind);
    REQUIRE(report.rows.size() == 1);
    CHECK(report.rows.front().key == key);
    CHECK(report.rows.front().count ==
          TrafficCount{.connections = 2, .to_backend = 20, .to_client = 40});
  }
}

TEST_CASE("IPv6 sources count by /64") {
  Traffic traffic({1, 2});
  traffic.add(record("[2001:db8:1:2::3]:1", "a.example"), some, true);
  traffic.add(record("[2001:db8:1:2:ffff::3]:1", "a.example"), some, true);
  const TrafficReport report = traffic.report(TrafficKind::source);
  REQUIRE(report.rows.size() == 1);
  CHECK(report.rows.front().key == "2001:db8:1:2::/64");
}

TEST_CASE("a flow that changes its plane is a connection of both, and of nothing else twice") {
  Traffic traffic({1, 2});
  FlowRecord flow = record("192.0.2.1:1000", "a.example");
  traffic.add(flow, some, true);
  flow.plane = PlaneId::packet;
  traffic.add(flow, {.connections = 0, .to_backend = 5, .to_client = 0}, true);
  for (const TrafficRow& row : traffic.report(TrafficKind::plane).rows) {
    CHECK(row.count.connections == 1);
    CHECK(row.count.to_backend == (row.key == "packet" ? 5 : 10));
  }
  CHECK(traffic.report(TrafficKind::name).rows.front().count.connections == 1);
}

TEST_CASE("invalid names are shown as in the log") {
  Traffic traffic({1, 2});
  traffic.add(record("192.0.2.1:1000", "a\x1b\"b"), some, true);
  CHECK(traffic.report(TrafficKind::name).rows.front().key == "a\\x1b\\\"b");
}

TEST_CASE("reports of workers are summed, the heaviest stand first, and the rest is other") {
  TrafficSum sum({1, 2});
  sum.add({.rows = {{"a", {1, 10, 0}}, {"b", {1, 100, 0}}}, .other = {1, 1, 1}});
  sum.add({.rows = {{"a", {2, 20, 300}}, {"c", {5, 0, 0}}, {"d", {1, 0, 0}}}, .other = {}});
  const TrafficReport top = sum.heaviest(3);
  REQUIRE(top.rows.size() == 3);
  CHECK(top.rows[0].key == "a");
  CHECK(top.rows[0].count == TrafficCount{3, 30, 300});
  CHECK(top.rows[1].key == "b");
  CHECK(top.rows[2].key == "c");
  CHECK(top.other == TrafficCount{2, 1, 1});
}

TEST_CASE("names that collide in an unkeyed hash are summed as fast as others") {
  constexpr std::size_t count = 8192;
  const std::vector<std::string> hostile = colliding_names(count);
  std::unordered_set<std::size_t> hashes;
  std::vector<std::string> harmless;
  for (const std::string& name : hostile) {
    hashes.insert(std::hash<std::string>{}(name));
    harmless.push_back(name.substr(0, 8) + "harmless");
  }
  CHECK(hashes.size() == 1);
  const auto seconds_for = [&](const std::vector<std::string>& names) {
    TrafficReport report;
    for (const std::string& name : names) report.rows.push_back({.key = name, .count = some});
    TrafficSum sum({1, 2});
    const std::clock_t begun = std::clock();
    sum.add(report);
    const std::clock_t took = std::clock() - begun;
    CHECK(sum.heaviest(count).rows.size() == count);
    return static_cast<double>(took) / CLOCKS_PER_SEC;
  };
  const double usual = seconds_for(harmless);
  // If each looked at all before it, this would be about a hundred times as much.
  CHECK(seconds_for(hostile) < 20 * usual + 0.005);
}

TEST_CASE("kinds have the names that they are asked for by") {
  for (std::size_t i = 0; i < traffic_kinds; ++i) {
    const auto kind = static_cast<TrafficKind>(i);
    CHECK(parse_traffic_kind(to_string(kind)) == kind);
  }
  CHECK_FALSE(parse_traffic_kind("address"));
}
