#pragma once

// Theory of operation: holds the bytes of stalled readers while relay buffers or kernel pipes are
// scarce. All workers together park no more than their share of limits.relay_memory. When that is
// used up, a newly stalled connection evicts those that have stalled for longest, which are then
// ended: a reader that pauses for a moment must not fall victim to readers that never read. The new
// one is refused only if this worker has none to evict.

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "net/relay/relay_budget.h"

namespace sni {

// The connection that parks.
struct ParkedOwner {
  std::uint32_t slot = 0;
  std::uint16_t generation = 0;
};

struct ParkedBytes {
  ParkedOwner owner;
  std::unique_ptr<std::uint8_t[]> data;
  std::uint32_t length;
  bool evicted = false;
};

// The parked bytes of one worker.
class Parking {
 public:
  using Place = std::list<ParkedBytes>::iterator;

  explicit Parking(RelayBudget& budget) : budget_(budget) {}

  // Copies `bytes`; otherwise like reserve().
  std::optional<Place> park(ParkedOwner owner, std::span<const std::uint8_t> bytes,
                            std::uint64_t relay_memory);
  // Room for `length` bytes, which the caller writes. nullopt: the share of `relay_memory` is used
  // up, and not enough of it by this worker.
  std::optional<Place> reserve(ParkedOwner owner, std::uint32_t length, std::uint64_t relay_memory);
  void leave(Place place);
  // Connections that reserve() has evicted and that must be ended; some may have ended since.
  std::vector<ParkedOwner> take_evicted() { return std::exchange(evicted_, {}); }

 private:
  RelayBudget& budget_;
  std::list<ParkedBytes> parked_;  // The longest stalled first.
  std::uint64_t staying_ = 0;      // Bytes parked here, except by evicted connections,
  std::uint64_t leaving_ = 0;      // and bytes of evicted ones.
  std::vector<ParkedOwner> evicted_;
};

}  // namespace sni
