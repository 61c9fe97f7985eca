#include "core/traffic/traffic_store.h"

#include <doctest/doctest.h>

#include <string>

using namespace sni;

namespace {

TrafficStore some_store() {
  TrafficStore store{.since_s = 1'700'000'000, .reports = {}};
  TrafficReport& names = store.reports[static_cast<std::size_t>(TrafficKind::name)];
  names.rows = {{"a.example", {3, 10, 1ULL << 60}}, {"o\\x1b\\\"", {1, 0, 0}}};
  names.other = {7, 8, 9};
  return store;
}

}  // namespace

TEST_CASE("a written store is read again") {
  const TrafficStore store = some_store();
  const auto read = parse_traffic_store(traffic_store_text(store));
  REQUIRE_MESSAGE(read, read.error().what);
  CHECK(read->since_s == store.since_s);
  for (std::size_t i = 0; i < traffic_kinds; ++i) {
    CHECK(read->reports[i].other == store.reports[i].other);
    REQUIRE(read->reports[i].rows.size() == store.reports[i].rows.size());
    for (std::size_t row = 0; row < read->reports[i].rows.size(); ++row) {
      CHECK(read->reports[i].rows[row].key == store.reports[i].rows[row].key);
      CHECK(read->reports[i].rows[row].count == store.reports[i].rows[row].count);
    }
  }
}

TEST_CASE("every prefix of a file, and everything that is none, is refused with a reason") {
  const std::string text = traffic_store_text(some_store());
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    CHECK_FALSE(parse_traffic_store(std::string_view(text).substr(0, size)));
  }
  for (const char* wrong :
       {"[]", "{}", R"({"version": 2, "since": 1})", R"({"version": 1, "since": -1})",
        R"({"version": 1, "since": 1, "name": []})",
        R"({"version": 1, "since": 1, "name": {"rows": {"a": [1, 2]}, "other": [0, 0, 0]}})",
        R"({"version": 1, "since": 1, "name": {"rows": {"a": [1, 2, -3]}, "other": [0, 0, 0]}})",
        R"({"version": 1, "since": 1, "name": {"rows": {}, "other": [0.5, 0, 0]}})"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_traffic_store(wrong));
  }
  CHECK(parse_traffic_store(R"({"version": 1, "since": 1})"));
}

TEST_CASE("a file with more rows than a table has is refused") {
  TrafficStore store = some_store();
  TrafficReport& names = store.reports[static_cast<std::size_t>(TrafficKind::name)];
  names.rows.clear();
  while (names.rows.size() < limits::traffic_entries) {
    names.rows.push_back({.key = std::to_string(names.rows.size()), .count = {}});
  }
  CHECK(parse_traffic_store(traffic_store_text(store)));
  names.rows.push_back({.key = "more", .count = {}});
  CHECK_FALSE(parse_traffic_store(traffic_store_text(store)));
}
