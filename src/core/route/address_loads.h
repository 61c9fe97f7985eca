#pragma once

// How many connections each address of a name has over all workers, for routes that balance by it.
// A name's addresses come and go, so a slot belongs to an address only while that has connections,
// and may then pass to another.
//
// A slot is one word of tag and count, changed only by compare-and-swap: there is no lock, and no
// count goes to another address. Two workers that meet a new address at the same time may give it
// two slots: its count is the sum of both.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/address/address.h"
#include "core/limits.h"

namespace sni {

class AddressLoads {
 public:
  // Where a connection is counted, to be given back; nullptr: nowhere, since no slot was free.
  using Place = std::atomic<std::uint64_t>*;

  Place enter(const IpAddress& address);
  static void leave(Place place) {
    if (place != nullptr) place->fetch_sub(1, std::memory_order_relaxed);
  }
  std::uint32_t count(const IpAddress& address) const;

 private:
  // Has a cache line of its own: workers count different addresses at the same time.
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> word{0};  // Tag in the upper half, count in the lower.
  };
  std::array<Slot, limits::counted_addresses> slots_;
};

}  // namespace sni
