#pragma once

// One connection's wait for a place at one or several backends (core/route/place_queue.h). It
// belongs to one thread.

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/route/backend_lease.h"
#include "core/route/backend_table.h"

namespace sni {

class PlaceWait {
 public:
  // `bell` outlives the wait and is rung with `name`.
  PlaceWait(PlaceBell& bell, std::uint64_t name) : bell_(bell), name_(name) {}
  PlaceWait(const PlaceWait&) = delete;
  PlaceWait& operator=(const PlaceWait&) = delete;
  // Leaves all queues. A place that was granted and not taken goes to the next waiter.
  ~PlaceWait();

  // Also waits at this backend, unless `waiting_max` others do. A place may be granted at once.
  bool join(const BackendRef& backend, std::uint32_t waiting_max);
  bool granted() const { return granted_.load() != nullptr; }
  // Returns the granted place, once.
  struct Place {
    const BackendEntry* backend = nullptr;  // Null: none was.
    BackendLease lease;
  };
  Place take();

 private:
  friend class PlaceQueue;

  PlaceBell& bell_;
  std::uint64_t name_;
  // The backend. Set once, under that queue's lock.
  std::atomic<const BackendEntry*> granted_{nullptr};
  bool taken_ = false;
  std::vector<BackendRef> joined_;
};

}  // namespace sni
