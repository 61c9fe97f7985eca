#pragma once

#include <vector>

#include "core/address.h"
#include "core/error.h"

namespace sni {

// The addresses of all interfaces of this network namespace (getifaddrs), without duplicates. To be
// called at start and at reload.
Result<std::vector<IpAddress>> own_addresses();

}  // namespace sni
