#pragma once

// What a name resolves to: addresses in the order in which they are to be tried, or why there are
// none; of a service (core/dns/service.h) its targets. It is copied for each connection that asks, so
// what it has is shared.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/address/address.h"
#include "core/config/config.h"
#include "core/dns/service.h"
#include "core/limits.h"

namespace sni {

struct Resolution {
  enum class Status : std::uint8_t {
    ok,          // There is at least one address, or target of the service.
    not_found,   // The name has no address, or is not a name that DNS can have.
    failed,      // The resolvers fail or answer garbage.
    unanswered,  // No resolver answers in time.
    overloaded,  // Too many questions or waiters are pending (core/limits.h).
  };

  Status status = Status::failed;
  bool stale = false;  // ok only: past its TTL, stands in while the resolvers fail.
  std::shared_ptr<const std::vector<IpAddress>> addresses;     // Null: none.
  std::shared_ptr<const std::vector<ServiceTarget>> services;  // Null: none.

  // ok with at most limits::backend_addresses_max of these, or not_found where there are none.
  static Resolution of(std::vector<IpAddress> addresses);
  // Of both families as `families` wants them: in turns beginning with IPv6 (any; RFC 8305 section
  // 4), where a family that is short leaves its places to the other; one family alone; or all of
  // IPv4 before IPv6.
  static Resolution of(std::span<const IpAddress> v6, std::span<const IpAddress> v4,
                       AddressFamilies families);
  // ok with these, or not_found where there are none.
  static Resolution of_service(std::vector<ServiceTarget> targets);
  // Addresses that are in no such order yet.
  static Resolution sorted(std::span<const IpAddress> addresses, AddressFamilies families);

  std::span<const IpAddress> list() const {
    return addresses ? std::span<const IpAddress>(*addresses) : std::span<const IpAddress>();
  }
  std::size_t count() const { return addresses ? addresses->size() : 0; }

  // The address to try as number `position` (below count()) by the caller's `turn`: families keep
  // their places, and within each the start moves on by one from turn to turn, so that connections
  // begin with all addresses alike.
  const IpAddress& in_turn(std::size_t position, std::uint32_t turn) const;

  bool operator==(const Resolution& other) const;
};

}  // namespace sni
