#include "core/route/place_wait.h"

namespace sni {

bool PlaceWait::join(const BackendRef& backend, std::uint32_t waiting_max) {
  if (granted()) return true;
  if (!backend->queue.join(*backend, *this, waiting_max)) return false;
  joined_.push_back(backend);
  return true;
}

PlaceWait::Place PlaceWait::take() {
  const BackendEntry* const backend = granted_.load();
  if (backend == nullptr || taken_) return {};
  taken_ = true;
  return {.backend = backend, .lease = BackendLease::of_place(*backend)};
}

// Once a queue was left under its lock, it has no reference to this wait.
PlaceWait::~PlaceWait() {
  for (const BackendRef& backend : joined_) backend->queue.leave(*this);
  (void)take();
}

}  // namespace sni
