// The list of targets, part on places: which are taken, and which backends had none.

#include <algorithm>
#include <bit>

#include "net/connect/target.h"

namespace sni {

std::uint64_t TargetList::primaries() const {
  return first_backends(route_->primaries);
}

// All attempts of a connection at one backend share one place.
bool TargetList::has_place() {
  const BackendEntry& entry = *route_->backends[target_.backend];
  if (entry.connections_max.load(std::memory_order_relaxed) == 0) return true;
  if (std::ranges::find(places_, target_.backend, &Place::backend) != places_.end()) return true;
  if (!entry.enter()) return false;
  places_.push_back({.backend = target_.backend, .lease = BackendLease::of_place(entry)});
  return true;
}

BackendLease TargetList::lease(const Target& target) const {
  const BackendEntry& entry = *route_->backends[target.backend];
  AddressLoads::Place address = BackendLease::place_of(entry, target.endpoint.ip);
  const bool counted = std::ranges::find(places_, target.backend, &Place::backend) != places_.end();
  return counted ? BackendLease(address) : BackendLease(entry, address);
}

BackendLease TargetList::take_place(const Target& target) {
  BackendLease taken;
  const auto found = std::ranges::find(places_, target.backend, &Place::backend);
  if (found != places_.end()) taken = std::move(found->lease);
  places_.clear();
  return taken;
}

std::vector<BackendRef> TargetList::full() const {
  std::vector<BackendRef> full;
  for (std::uint64_t left = full_; left != 0; left &= left - 1) {
    full.push_back(route_->backends[static_cast<std::size_t>(std::countr_zero(left))]);
  }
  return full;
}

void TargetList::placed(PlaceWait::Place place) {
  const auto found = std::ranges::find(route_->backends, place.backend, &BackendRef::get);
  const auto backend = static_cast<std::uint32_t>(found - route_->backends.begin());
  full_ &= ~(std::uint64_t{1} << backend);
  places_.push_back({.backend = backend, .lease = std::move(place.lease)});
  target_ = {.endpoint = {}, .backend = backend};
  listed_ = false;
  asked_ = false;
}

void TargetList::not_placed(AttemptError why) {
  const auto first = static_cast<std::uint32_t>(std::countr_zero(full_));
  full_ = 0;
  failed({.endpoint = {}, .backend = first}, why);
}

}  // namespace sni
