#include "core/route/place_queue.h"

#include <algorithm>

#include "core/route/place_wait.h"

namespace sni {

bool PlaceQueue::join(const BackendEntry& backend, PlaceWait& wait, std::uint32_t waiting_max) {
  const std::lock_guard lock(mutex_);
  if (waits_.size() >= waiting_max) return false;
  waits_.push_back(&wait);
  tell_size();
  grant(backend);
  return true;
}

// Connections that have waited longest leave most often, so they are found at once.
void PlaceQueue::leave(const PlaceWait& wait) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(waits_, &wait);
  if (found != waits_.end()) waits_.erase(found);
  tell_size();
}

void PlaceQueue::serve(const BackendEntry& backend) {
  const std::lock_guard lock(mutex_);
  grant(backend);
}

// Requires the lock. Skips waits that got a place elsewhere meanwhile.
void PlaceQueue::grant(const BackendEntry& backend) {
  while (!waits_.empty() && !backend.disabled.load(std::memory_order_relaxed)) {
    PlaceWait& first = *waits_.front();
    const BackendEntry* nobody = nullptr;
    if (first.granted_.load() == nullptr) {
      if (!backend.count_one_more()) break;
      if (first.granted_.compare_exchange_strong(nobody, &backend)) {
        first.bell_.place_granted(first.name_);
      } else {
        backend.connections.fetch_sub(1);
      }
    }
    waits_.pop_front();
  }
  tell_size();
}

}  // namespace sni
