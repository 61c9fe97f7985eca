#pragma once

// One connection's wait for a place, at one backend or at several: see core/route/place_queue.h. It
// belongs to one thread.

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/route/backend_lease.h"
#include "core/route/backend_table.h"

namespace sni {

class PlaceWait {
 public:
  // `bell` outlives the wait; `name` is what it is rung with.
  PlaceWait(PlaceBell& bell, std::uint64_t name) : bell_(bell), name_(name) {}
  PlaceWait(const PlaceWait&) = delete;
  PlaceWait& operator=(const PlaceWait&) = delete;
  // Leaves all queues. A place that was granted and not taken goes to the next one.
  ~PlaceWait();

  // Waits at this backend too, unless so many others do. It may have a place at once.
  bool join(const BackendRef& backend, std::uint32_t waiting_max);
  bool granted() const { return granted_.load() != nullptr; }
  // The place that was granted, once.
  struct Place {
    const BackendEntry* backend = nullptr;  // Null: none was.
    BackendLease lease;
  };
  Place take();

 private:
  friend class PlaceQueue;

  PlaceBell& bell_;
  std::uint64_t name_;
  // Where: set once, by whoever has that queue's lock.
  std::atomic<const BackendEntry*> granted_{nullptr};
  bool taken_ = false;
  std::vector<BackendRef> joined_;
};

}  // namespace sni
