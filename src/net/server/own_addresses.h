#pragma once

#include <vector>

#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// The addresses of all interfaces of this network namespace (getifaddrs), without duplicates.
Result<std::vector<IpAddress>> own_addresses();

// Becomes readable when an address of this network namespace comes or goes (RTMGRP_*_IFADDR).
Result<UniqueFd> watch_own_addresses();
// Throws away what the watch has to say: own_addresses() says it all.
void rearm(const UniqueFd& watch);

}  // namespace sni
