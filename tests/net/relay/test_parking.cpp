#include "net/relay/parking.h"

#include <doctest/doctest.h>

#include <string>

using namespace sni;

namespace {

struct Lot {
  // `share`: bytes that may be parked.
  Lot(RelayBudget& budget, std::uint64_t share) : parking(budget), relay_memory(share + share / 3) {
    REQUIRE(parked_share(relay_memory) == share);
  }

  std::optional<Parking::Place> park(std::uint32_t slot, std::string_view text) {
    return parking.park({.slot = slot, .generation = 7},
                        {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                        relay_memory);
  }
  std::vector<std::uint32_t> evicted() {
    std::vector<std::uint32_t> slots;
    for (const ParkedOwner& owner : parking.take_evicted()) {
      CHECK(owner.generation == 7);
      slots.push_back(owner.slot);
    }
    return slots;
  }

  Parking parking;
  std::uint64_t relay_memory;
};

using SlotNumbers = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("parked bytes are a copy, and are charged until they leave") {
  RelayBudget budget;
  Lot lot(budget, 10);
  std::string text = "hello";
  const auto place = lot.park(1, text);
  REQUIRE(place);
  text = "other";
  CHECK(std::string((*place)->data.get(), (*place)->data.get() + (*place)->length) == "hello");
  CHECK(budget.parked == 5);
  lot.parking.leave(*place);
  CHECK(budget.parked == 0);
  CHECK(lot.evicted().empty());
}

TEST_CASE("a newcomer beyond the budget takes the place of who has stalled for longest") {
  RelayBudget budget;
  Lot lot(budget, 10);
  const auto first = lot.park(1, "12345");
  const auto second = lot.park(2, "12345");
  const auto third = lot.park(3, "1");
  REQUIRE(third);
  CHECK(lot.evicted() == SlotNumbers{1});
  // The evicted one has not left yet, and its 5 bytes make room for 3 more.
  const auto fourth = lot.park(4, "123");
  REQUIRE(fourth);
  CHECK(lot.evicted().empty());
  const auto fifth = lot.park(5, "12");
  REQUIRE(fifth);
  CHECK(lot.evicted() == SlotNumbers{2});
  for (const auto& place : {first, second, third, fourth, fifth}) lot.parking.leave(*place);
  CHECK(budget.parked == 0);
}

TEST_CASE("several that are small make room for one that is large") {
  RelayBudget budget;
  Lot lot(budget, 4);
  for (std::uint32_t slot = 1; slot <= 4; ++slot) REQUIRE(lot.park(slot, "x"));
  REQUIRE(lot.park(5, "123"));
  CHECK(lot.evicted() == SlotNumbers{1, 2, 3});
}

TEST_CASE("what exceeds the budget by itself is turned away and ends nobody") {
  RelayBudget budget;
  Lot lot(budget, 4);
  REQUIRE(lot.park(1, "x"));
  CHECK_FALSE(lot.park(2, "12345"));
  CHECK(lot.evicted().empty());
  CHECK(budget.parked == 1);
}

TEST_CASE("a worker ends nobody of another worker") {
  RelayBudget budget;
  Lot one(budget, 4);
  Lot other(budget, 4);
  REQUIRE(one.park(1, "1234"));
  CHECK_FALSE(other.park(2, "1"));
  CHECK(one.evicted().empty());
  CHECK(other.evicted().empty());
}

TEST_CASE("pipes have a quarter of the memory, and lend it to nobody") {
  RelayBudget budget;
  Lot lot(budget, 6);
  budget.in_pipes = 2;
  CHECK(lot.relay_memory == 8);
  CHECK(lot.park(1, "123456"));
  CHECK(budget.used() == 8);
  CHECK(lot.evicted().empty());
  CHECK(lot.park(2, "1"));
  CHECK(lot.evicted() == SlotNumbers{1});
}
