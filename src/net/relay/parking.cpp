#include "net/relay/parking.h"

#include <algorithm>
#include <iterator>

namespace sni {

std::optional<Parking::Place> Parking::park(ParkedOwner owner, std::span<const std::uint8_t> bytes,
                                            std::uint64_t budget_max) {
  const std::uint64_t used =
      budget_.used.fetch_add(bytes.size(), std::memory_order_relaxed) + bytes.size();
  const std::uint64_t wanted = budget_max + leaving_;
  const std::uint64_t excess = used > wanted ? used - wanted : 0;
  if (excess > staying_) {
    budget_.used.fetch_sub(bytes.size(), std::memory_order_relaxed);
    return std::nullopt;
  }
  std::uint64_t freed = 0;
  for (ParkedBytes& oldest : parked_) {
    if (freed >= excess) break;
    if (std::exchange(oldest.evicted, true)) continue;
    freed += oldest.length;
    evicted_.push_back(oldest.owner);
  }
  staying_ += bytes.size() - freed;
  leaving_ += freed;
  const auto added = add(owner, static_cast<std::uint32_t>(bytes.size()));
  std::ranges::copy(bytes, added->data.get());
  return added;
}

std::optional<Parking::Place> Parking::park_if_free(ParkedOwner owner, std::uint32_t length,
                                                    std::uint64_t budget_max) {
  const std::uint64_t used =
      budget_.used.fetch_add(length, std::memory_order_relaxed) + std::uint64_t{length};
  if (used > budget_max) {
    budget_.used.fetch_sub(length, std::memory_order_relaxed);
    return std::nullopt;
  }
  staying_ += length;
  return add(owner, length);
}

Parking::Place Parking::add(ParkedOwner owner, std::uint32_t length) {
  parked_.push_back({.owner = owner,
                     .data = std::make_unique_for_overwrite<std::uint8_t[]>(length),
                     .length = length});
  return std::prev(parked_.end());
}

void Parking::leave(Place place) {
  budget_.used.fetch_sub(place->length, std::memory_order_relaxed);
  (place->evicted ? leaving_ : staying_) -= place->length;
  parked_.erase(place);
}

}  // namespace sni
