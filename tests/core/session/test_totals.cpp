#include "core/session/totals.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>

using namespace sni;

TEST_CASE("totals sum the counters of all workers by name and reason") {
  Counters first;
  Counters second;
  first.accepted.add(2);
  second.accepted.add(3);
  second.ended[static_cast<std::size_t>(EndReason::no_route)].add(4);
  const std::array<const Counters*, 2> workers{&first, &second};
  CHECK(totals_line(totals(workers)) == "accepted=5 ended.no_route=4");
}

TEST_CASE("the table of counters has no row twice") {
  const Counters counters;
  const std::array<const Counters*, 1> workers{&counters};
  std::set<std::pair<std::string_view, std::string_view>> rows;
  const auto table = totals(workers);
  for (const Total& total : table) rows.emplace(total.name, total.reason);
  CHECK(rows.size() == table.size());
}

TEST_CASE("the line of totals is one word a count, and of a proxy that did nothing it is short") {
  Counters counters;
  const std::array<const Counters*, 1> workers{&counters};
  CHECK(totals_line(totals(workers)) == "accepted=0");
  for (Counter& declined : counters.planes_declined) declined.add();
  const std::string line = totals_line(totals(workers));
  CHECK(static_cast<std::size_t>(std::ranges::count(line, ' ')) == plane_declines);
}
