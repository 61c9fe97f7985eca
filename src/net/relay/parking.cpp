#include "net/relay/parking.h"

#include <algorithm>
#include <iterator>

namespace sni {

std::optional<Parking::Place> Parking::charge(ParkedOwner owner, std::uint32_t length,
                                              std::uint64_t budget_max) {
  const std::uint64_t used =
      budget_.used.fetch_add(length, std::memory_order_relaxed) + std::uint64_t{length};
  const std::uint64_t wanted = budget_max + leaving_;
  const std::uint64_t excess = used > wanted ? used - wanted : 0;
  if (excess > staying_) {
    budget_.used.fetch_sub(length, std::memory_order_relaxed);
    return std::nullopt;
  }
  std::uint64_t freed = 0;
  for (ParkedBytes& oldest : parked_) {
    if (freed >= excess) break;
    if (std::exchange(oldest.evicted, true)) continue;
    freed += oldest.length;
    evicted_.push_back(oldest.owner);
  }
  staying_ += length - freed;
  leaving_ += freed;
  parked_.push_back({.owner = owner, .data = nullptr, .length = length});
  return std::prev(parked_.end());
}

std::optional<Parking::Place> Parking::park(ParkedOwner owner, std::span<const std::uint8_t> bytes,
                                            std::uint64_t budget_max) {
  const auto added = charge(owner, static_cast<std::uint32_t>(bytes.size()), budget_max);
  if (!added) return std::nullopt;
  (*added)->data = std::make_unique_for_overwrite<std::uint8_t[]>(bytes.size());
  std::ranges::copy(bytes, (*added)->data.get());
  return added;
}

void Parking::leave(Place place) {
  budget_.used.fetch_sub(place->length, std::memory_order_relaxed);
  (place->evicted ? leaving_ : staying_) -= place->length;
  parked_.erase(place);
}

}  // namespace sni
