#include "net/connect/flight.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "core/limits.h"

using namespace sni;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint64_t plenty = 1 << 20;

}  // namespace

TEST_CASE("a flight in many pieces is what was appended, and costs little more than its size") {
  FlightBudget budget;
  Bytes sent(20'000);
  for (std::size_t i = 0; i < sent.size(); ++i)
    sent[i] = static_cast<std::uint8_t>(i * 31 + i / 256);
  Flight flight(budget);
  for (std::size_t at = 0; at < sent.size(); at += 7) {
    REQUIRE(flight.append(std::span(sent).subspan(at, std::min<std::size_t>(7, sent.size() - at)),
                          plenty));
    CHECK(budget.used <= flight.bytes().size() * 3 / 2 + 7);
  }
  CHECK(std::ranges::equal(flight.bytes(), sent));
  flight.shrink();
  CHECK(std::ranges::equal(flight.bytes(), sent));
  CHECK(budget.used == sent.size());
}

TEST_CASE("bytes beyond the budget are refused and leave the flight unchanged") {
  FlightBudget budget;
  Flight first(budget);
  REQUIRE(first.append(Bytes(600), 1000));
  Flight second(budget);
  CHECK_FALSE(second.append(Bytes(600), 1000));
  CHECK(second.empty());
  CHECK(budget.used == 600);
  CHECK(second.append(Bytes(400), 1000));
}

TEST_CASE("large flights leave half of the budget to small ones") {
  FlightBudget budget;
  Flight large(budget);
  REQUIRE(large.append(Bytes(5000), 10'000));
  Flight another(budget);
  CHECK_FALSE(another.append(Bytes(limits::small_flight_bytes + 1), 10'000));
  Flight small(budget);
  CHECK(small.append(Bytes(limits::small_flight_bytes), 10'000));
}

TEST_CASE("the budget gets back what a flight held, once, wherever the flight has been moved") {
  FlightBudget budget;
  {
    Flight first(budget);
    REQUIRE(first.append(Bytes(100), plenty));
    Flight second(std::move(first));
    CHECK(budget.used == 100);
    second.release();
    CHECK(budget.used == 0);
    REQUIRE(second.append(Bytes(50), plenty));
  }
  CHECK(budget.used == 0);
}

TEST_CASE("a header precedes the client's bytes and replaces the previous one") {
  FlightBudget budget;
  {
    Flight flight(budget);
    REQUIRE(flight.append(Bytes{1, 2, 3}, plenty));
    flight.put_header(Bytes{9, 9});
    CHECK(std::ranges::equal(flight.bytes(), Bytes{9, 9, 1, 2, 3}));
    CHECK(flight.header_bytes() == 2);
    flight.put_header(Bytes{8});
    CHECK(std::ranges::equal(flight.bytes(), Bytes{8, 1, 2, 3}));
    CHECK(budget.used == 4);
    const Flight moved = std::move(flight);
    CHECK(moved.header_bytes() == 1);
  }
  CHECK(budget.used == 0);
}

TEST_CASE("a header may be longer than a flight that has room left") {
  FlightBudget budget;
  Flight flight(budget);
  for (int i = 0; i < 5; ++i) REQUIRE(flight.append(Bytes(100, 1), plenty));
  flight.put_header(Bytes(2, 9));
  CHECK(flight.bytes().size() == 502);
  CHECK(budget.used == 502);
}

TEST_CASE("what is dropped from the front leaves the rest, and more can be appended") {
  FlightBudget budget;
  {
    Flight flight(budget);
    REQUIRE(flight.append(Bytes{1, 2, 3, 4}, plenty));
    flight.drop_front(3);
    CHECK(std::ranges::equal(flight.bytes(), Bytes{4}));
    flight.drop_front(1);
    CHECK(flight.empty());
    REQUIRE(flight.append(Bytes{5, 6}, plenty));
    CHECK(std::ranges::equal(flight.bytes(), Bytes{5, 6}));
  }
  CHECK(budget.used == 0);
}
