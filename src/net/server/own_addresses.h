#pragma once

#include <vector>

#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

struct OwnAddresses {
  std::vector<IpAddress> addresses;  // Of all interfaces (getifaddrs), without duplicates.
  // All of whose addresses are this host's, by routes of type local (ip-route(8)) in the table
  // `local`. Other tables have such routes for transparent proxies, with addresses of others.
  std::vector<IpPrefix> prefixes;
  bool operator==(const OwnAddresses&) const = default;
};

// Those of this network namespace.
Result<OwnAddresses> own_addresses();

// Becomes readable when an address of this network namespace is added or removed (RTMGRP_*_IFADDR).
// Routes are not watched: on a router they change all the time.
Result<UniqueFd> watch_own_addresses();
// Discards the messages of the watch: own_addresses() has the current state.
void rearm(const UniqueFd& watch);

}  // namespace sni
