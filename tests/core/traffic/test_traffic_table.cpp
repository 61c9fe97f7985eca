#include "core/traffic/traffic_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

using namespace sni;

namespace {

constexpr SipKey table_key{1, 2};

TrafficCount sum(const TrafficTable& table) {
  TrafficCount all = table.other();
  for (const TrafficRow& row : table.rows()) all += row.count;
  return all;
}

TrafficCount count_of(const TrafficTable& table, std::string_view wanted) {
  const auto kept = table.rows();
  const auto found = std::ranges::find(kept, wanted, &TrafficRow::key);
  return found == kept.end() ? TrafficCount{} : found->count;
}

}  // namespace

TEST_CASE("traffic under one key is summed") {
  TrafficTable table(4, table_key);
  table.add("a", {.connections = 1, .to_backend = 10, .to_client = 100});
  table.add("b", {.connections = 1, .to_backend = 1, .to_client = 1});
  table.add("a", {.connections = 0, .to_backend = 5, .to_client = 50});
  CHECK(count_of(table, "a") == TrafficCount{.connections = 1, .to_backend = 15, .to_client = 150});
  CHECK(table.rows().size() == 2);
  CHECK(table.other() == TrafficCount{});
}

TEST_CASE("a full table gives up its lightest key, whose counts are summed as other") {
  TrafficTable table(2, table_key);
  table.add("heavy", {.connections = 1, .to_backend = 1'000'000, .to_client = 0});
  table.add("light", {.connections = 1, .to_backend = 10, .to_client = 20});
  table.add("new", {.connections = 1, .to_backend = 7, .to_client = 0});
  CHECK(table.rows().size() == 2);
  CHECK(count_of(table, "light") == TrafficCount{});
  CHECK(count_of(table, "new") == TrafficCount{.connections = 1, .to_backend = 7, .to_client = 0});
  CHECK(table.other() == TrafficCount{.connections = 1, .to_backend = 10, .to_client = 20});
}

TEST_CASE("one that keeps on coming stays though others come between") {
  TrafficTable table(8, table_key);
  for (int i = 0; i < 8; ++i) {
    table.add("old" + std::to_string(i), {.connections = 1, .to_backend = 50'000, .to_client = 0});
  }
  for (int i = 0; i < 200; ++i) {
    table.add("steady", {.connections = 1, .to_backend = 4'000, .to_client = 0});
    table.add("once" + std::to_string(i), {.connections = 1, .to_backend = 0, .to_client = 0});
  }
  CHECK(count_of(table, "steady").connections > 150);
}

TEST_CASE(
    "however many keys come, none of what they moved is lost, and the heavy ones have a row") {
  TrafficTable table(64, table_key);
  std::mt19937_64 random(7);
  TrafficCount all;
  TrafficCount heavy;
  for (int i = 0; i < 20'000; ++i) {
    const TrafficCount each{
        .connections = random() % 2, .to_backend = random() % 500, .to_client = random() % 500};
    const bool is_heavy = i % 20 == 0;
    table.add(is_heavy ? "heavy" : std::to_string(random()), each);
    all += each;
    if (is_heavy) heavy += each;
  }
  CHECK(sum(table) == all);
  CHECK(table.rows().size() == 64);
  CHECK(count_of(table, "heavy").connections > heavy.connections * 9 / 10);
}
