#pragma once

// The report of `sni-proxy probe` on XDP. It touches no interface, since a trial attachment could
// reset a network card's queues. It tries to load the filter and asks the driver for native mode
// over netlink (family "netdev", Linux 6.3). Generic mode belongs to the stack and is the same for
// every interface.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"

namespace sni {

// Whether each interface of this network namespace supports native XDP, by index.
Result<std::map<std::uint32_t, bool>> native_xdp();

// Lines for the operator: one per interface, and one on per-CPU maps.
std::vector<std::string> probe_xdp();

}  // namespace sni
