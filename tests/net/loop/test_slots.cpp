#include "net/loop/slots.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

namespace {

Ring new_ring() {
  auto ring = Ring::create(64);
  REQUIRE(ring);
  return std::move(*ring);
}

// Connections that wait for a hello, in slots of a loop that does not turn.
class SlotWorld {
 public:
  SlotWorld() {
    auto made = make_snapshot(config_for(loopback(1)));
    REQUIRE(made);
    snapshot_ = std::move(*made);
  }

  std::uint32_t open() {
    const std::uint32_t slot = slots.acquire();
    loop_.deadlines.grow(slots.capacity());
    slots.emplace(loop_, {.slot = slot,
                          .generation = slots.generation(slot),
                          .client = UniqueFd(),
                          .peer = {},
                          .listener = 0,
                          .snapshot = snapshot_,
                          .source_counted = false});
    return slot;
  }

  Slots slots;

 private:
  Shared shared_;
  Counters counters_;
  std::shared_ptr<const Snapshot> snapshot_;
  Loop loop_{.ring = new_ring(),
             .buffers = nullptr,
             .parking = Parking(shared_.parked),
             .resolver = nullptr,
             .deadlines = Deadlines(0),
             .shared = shared_,
             .counters = counters_,
             .refusals_log = LogGate(0),
             .now_ms = monotonic_ms(),
             .hello_scratch = {}};
};

}  // namespace

TEST_CASE("a connection is found by its slot and generation until the slot is freed") {
  SlotWorld world;
  Slots& slots = world.slots;
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
  Slots& slots = world.slots;
  const std::uint32_t slot = world.open();
  const std::uint16_t generation = slots.generation(slot);
  slots.free(slot);
  REQUIRE(world.open() == slot);
  CHECK(slots.find(slot, generation) == nullptr);
  CHECK(slots.find(slot, slots.generation(slot)) != nullptr);
}

TEST_CASE("a slot that was never made has no connection") {
  SlotWorld world;
  CHECK(world.slots.find(0, 0) == nullptr);
  world.open();
  CHECK(world.slots.find(world.slots.capacity(), 0) == nullptr);
  CHECK(world.slots.find(UINT32_MAX, 0) == nullptr);
}

TEST_CASE("connections stay where they are while more slots are made") {
  SlotWorld world;
  std::map<std::uint32_t, Connection*> places;
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
