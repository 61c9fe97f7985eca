#pragma once

#include <vector>

#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// The addresses of all interfaces of this network namespace (getifaddrs), without duplicates.
Result<std::vector<IpAddress>> own_addresses();

// Becomes readable when an address of this network namespace is added or removed (RTMGRP_*_IFADDR).
Result<UniqueFd> watch_own_addresses();
// Discards the messages of the watch: own_addresses() has the current state.
void rearm(const UniqueFd& watch);

}  // namespace sni
