#pragma once

// What `sni-proxy probe` says of XDP, without touching any interface: a trial attachment could
// reset a network card's queues. Whether the filter loads is tried; native mode is what the driver
// itself says over netlink (family "netdev", Linux 6.3), and generic mode is the stack's own, the
// same for every interface.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"

namespace sni {

// Whether each interface of this network namespace takes XDP programs natively, by index.
Result<std::map<std::uint32_t, bool>> native_xdp();

// Lines for the operator: one per interface, and one on per-CPU maps.
std::vector<std::string> probe_xdp();

}  // namespace sni
