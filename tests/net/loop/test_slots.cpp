#include "net/loop/slots.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

using namespace sni;

namespace {

// The kernel may hold pointers to it, so it must not move.
struct Tenant {
  explicit Tenant(std::uint32_t its_number) : number(its_number) {}
  Tenant(const Tenant&) = delete;
  std::uint32_t number;
};

struct SlotWorld {
  std::uint32_t open() {
    const std::uint32_t slot = slots.acquire();
    CHECK(slots.emplace(slot, slot).number == slot);
    return slot;
  }
  Slots<Tenant> slots;
};

}  // namespace

TEST_CASE("a tenant is found by its slot and generation until the slot is freed") {
  SlotWorld world;
  auto& slots = world.slots;
  const std::uint32_t slot = world.open();
  const std::uint16_t generation = slots.generation(slot);
  CHECK(slots.used() == 1);
  REQUIRE(slots.find(slot, generation) != nullptr);
  CHECK(slots.find(slot) == slots.find(slot, generation));
  slots.free(slot);
  CHECK(slots.used() == 0);
  CHECK(slots.find(slot, generation) == nullptr);
  CHECK(slots.find(slot) == nullptr);
}

TEST_CASE("who comes after in the same slot is not found by the old generation") {
  SlotWorld world;
  auto& slots = world.slots;
  const std::uint32_t slot = world.open();
  const std::uint16_t generation = slots.generation(slot);
  slots.free(slot);
  REQUIRE(world.open() == slot);
  CHECK(slots.find(slot, generation) == nullptr);
  CHECK(slots.find(slot, slots.generation(slot)) != nullptr);
}

TEST_CASE("a slot that was never made has no tenant") {
  SlotWorld world;
  CHECK(world.slots.find(0, 0) == nullptr);
  world.open();
  CHECK(world.slots.find(world.slots.capacity(), 0) == nullptr);
  CHECK(world.slots.find(UINT32_MAX, 0) == nullptr);
}

TEST_CASE("tenants stay where they are while more slots are made") {
  SlotWorld world;
  std::map<std::uint32_t, Tenant*> places;
  for (int i = 0; i < 200; ++i) {
    const std::uint32_t slot = world.open();
    REQUIRE(places.emplace(slot, world.slots.find(slot)).second);
  }
  CHECK(world.slots.used() == 200);
  for (const auto& [slot, place] : places) CHECK(world.slots.find(slot) == place);
}

TEST_CASE("freed slots are used again before new ones are made") {
  SlotWorld world;
  std::vector<std::uint32_t> open;
  for (int i = 0; i < 64; ++i) open.push_back(world.open());
  const std::uint32_t capacity = world.slots.capacity();
  for (int round = 0; round < 10; ++round) {
    for (const std::uint32_t slot : open) world.slots.free(slot);
    for (std::uint32_t& slot : open) slot = world.open();
  }
  CHECK(world.slots.capacity() == capacity);
  CHECK(std::set(open.begin(), open.end()).size() == open.size());
}
