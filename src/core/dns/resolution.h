#pragma once

// What a name resolves to: a bounded list of addresses in the order in which they are to be tried
// (families in turn, IPv6 first, RFC 8305 section 4), or why there is none.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/address/address.h"
#include "core/limits.h"

namespace sni {

struct Resolution {
  enum class Status : std::uint8_t {
    ok,          // There is at least one address.
    not_found,   // The name has no address, or is not a name that DNS can have.
    failed,      // The resolvers time out, fail or answer garbage.
    overloaded,  // Too many questions or waiters are pending (core/limits.h).
  };

  Status status = Status::failed;
  bool stale = false;  // ok only: past its TTL, stands in while the resolvers fail.
  std::uint8_t count = 0;
  std::array<IpAddress, limits::backend_addresses_max> addresses{};

  std::span<const IpAddress> list() const { return {addresses.data(), count}; }
  // Ignored once the list is full.
  void add(const IpAddress& address) {
    if (count < addresses.size()) addresses[count++] = address;
  }
  bool operator==(const Resolution& other) const = default;

  // ok with both lists in turns, or not_found where both are empty. A family that is short leaves
  // its places to the other.
  static Resolution in_turns(std::span<const IpAddress> v6, std::span<const IpAddress> v4);
};

}  // namespace sni
