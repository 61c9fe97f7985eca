#include "net/relay/parking.h"

#include <algorithm>
#include <iterator>

namespace sni {

std::optional<Parking::Place> Parking::park(ParkedOwner owner, std::span<const std::uint8_t> bytes,
                                            std::uint64_t relay_memory) {
  const auto place = reserve(owner, static_cast<std::uint32_t>(bytes.size()), relay_memory);
  if (place) std::ranges::copy(bytes, (*place)->data.get());
  return place;
}

std::optional<Parking::Place> Parking::reserve(ParkedOwner owner, std::uint32_t length,
                                               std::uint64_t relay_memory) {
  const std::uint64_t used =
      budget_.parked.fetch_add(length, std::memory_order_relaxed) + std::uint64_t{length};
  const std::uint64_t wanted = parked_share(relay_memory) + leaving_;
  const std::uint64_t excess = used > wanted ? used - wanted : 0;
  if (excess > staying_) {
    budget_.parked.fetch_sub(length, std::memory_order_relaxed);
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
  parked_.push_back({.owner = owner,
                     .data = std::make_unique_for_overwrite<std::uint8_t[]>(length),
                     .length = length});
  return std::prev(parked_.end());
}

void Parking::leave(Place place) {
  budget_.parked.fetch_sub(place->length, std::memory_order_relaxed);
  (place->evicted ? leaving_ : staying_) -= place->length;
  parked_.erase(place);
}

}  // namespace sni
