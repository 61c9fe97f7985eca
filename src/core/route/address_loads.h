#pragma once

// How many connections each address of a name has, over all workers, for routes that spread theirs
// by it. A name's addresses come and go, so a place belongs to an address for as long as it has
// connections, and to the next one after that.
//
// A place is one word, tag and count, which changes by compare-and-swap alone: no lock, and a count
// never goes to another address. Two workers that meet a new address at once may give it two places:
// its count is the sum of both.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/address/address.h"
#include "core/limits.h"

namespace sni {

class AddressLoads {
 public:
  // Where a connection is counted, to be given back; nullptr: nowhere, since there is no place.
  using Place = std::atomic<std::uint64_t>*;

  Place enter(const IpAddress& address);
  static void leave(Place place) {
    if (place != nullptr) place->fetch_sub(1, std::memory_order_relaxed);
  }
  std::uint32_t count(const IpAddress& address) const;

 private:
  // Alone on its line of the cache: workers count different addresses at once.
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> word{0};  // Tag in the upper half, count in the lower.
  };
  std::array<Slot, limits::counted_addresses> slots_;
};

}  // namespace sni
