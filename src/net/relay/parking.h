#pragma once

// Theory of operation: where the bytes of stalled readers wait while relay buffers are scarce, and
// the account of those that wait in kernel pipes (net/relay/splice.h). All workers together hold no
// more than limits.relay_memory. Where that is used up, whoever stalls now
// takes the place of those that have stalled for longest: those connections are ended, since a
// reader that pauses for a moment must not fall victim to readers that never read. Only when this
// worker has nobody to end is the newcomer turned away.

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace sni {

// Bytes parked by all workers together.
struct ParkedBudget {
  std::atomic<std::uint64_t> used{0};
};

// The connection that parks.
struct ParkedOwner {
  std::uint32_t slot = 0;
  std::uint16_t generation = 0;
};

struct ParkedBytes {
  ParkedOwner owner;
  std::unique_ptr<std::uint8_t[]> data;  // nullptr: they are elsewhere, and only charged.
  std::uint32_t length;
  bool evicted = false;
};

// Of one worker.
class Parking {
 public:
  using Place = std::list<ParkedBytes>::iterator;

  explicit Parking(ParkedBudget& budget) : budget_(budget) {}

  // For `length` bytes that wait elsewhere. nullopt: as park().
  std::optional<Place> charge(ParkedOwner owner, std::uint32_t length, std::uint64_t budget_max);
  // Copies `bytes`. nullopt: `budget_max` bytes are used up, and not enough of them by this worker.
  std::optional<Place> park(ParkedOwner owner, std::span<const std::uint8_t> bytes,
                            std::uint64_t budget_max);
  void leave(Place place);
  // Whom park() or charge() has chosen to be ended; some may have ended since.
  std::vector<ParkedOwner> take_evicted() { return std::exchange(evicted_, {}); }

 private:
  ParkedBudget& budget_;
  std::list<ParkedBytes> parked_;  // The longest stalled first.
  std::uint64_t staying_ = 0;      // Bytes parked here but for those of the evicted,
  std::uint64_t leaving_ = 0;      // and theirs.
  std::vector<ParkedOwner> evicted_;
};

}  // namespace sni
