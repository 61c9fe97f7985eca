#pragma once

// What a name resolves to: addresses in the order in which they are to be tried, the targets of a
// service (core/dns/service.h), or why there are none. It is copied for each connection that asks,
// so copies share their lists.

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
    ok,          // There is at least one address or service target.
    not_found,   // The name does not exist, or is not a valid DNS name.
    no_address,  // The name exists and has no address of the wanted families, or no target.
    failed,      // The resolvers fail or answer garbage.
    unanswered,  // No resolver answers in time.
    overloaded,  // Too many questions or waiters are pending (core/limits.h).
  };

  Status status = Status::failed;
  bool stale = false;  // ok only: past its TTL, used while the resolvers fail.
  std::shared_ptr<const std::vector<IpAddress>> addresses;     // Null: none.
  std::shared_ptr<const std::vector<ServiceTarget>> services;  // Null: none.

  // ok with at most limits::backend_addresses_max of these, or not_found if there are none.
  static Resolution of(std::vector<IpAddress> addresses);
  // Merges both families as `families` says. `any` alternates, beginning with IPv6 (RFC 8305
  // section 4), and the longer family fills the end. The others are one family alone, or all of
  // IPv4 before IPv6.
  static Resolution of(std::span<const IpAddress> v6, std::span<const IpAddress> v4,
                       AddressFamilies families);
  // ok with these, or not_found if there are none.
  static Resolution of_service(std::vector<ServiceTarget> targets);
  // For addresses that are not in that order yet.
  static Resolution sorted(std::span<const IpAddress> addresses, AddressFamilies families);

  // The resolver's answer is that there is no address.
  bool is_negative() const { return status == Status::not_found || status == Status::no_address; }
  std::span<const IpAddress> list() const {
    return addresses ? std::span<const IpAddress>(*addresses) : std::span<const IpAddress>();
  }
  std::size_t count() const { return addresses ? addresses->size() : 0; }

  // The address at `position` (below count()) in the order of try for the caller's `turn`. Families
  // keep their positions. Within each family the start advances by one with each turn, so that
  // connections begin with each address equally often.
  const IpAddress& in_turn(std::size_t position, std::uint32_t turn) const;

  bool operator==(const Resolution& other) const;
};

}  // namespace sni
