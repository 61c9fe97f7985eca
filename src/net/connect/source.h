#pragma once

// Where a connection to a backend comes from: address, interface, mark and ports of the route, set
// on its socket before connect(). A source address is bound without a port
// (IP_BIND_ADDRESS_NO_PORT), so that connect() chooses one that is free for this backend and each
// backend has all of the ports.

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

// `family`: of the target, AF_INET or AF_INET6; an address of the other family is of no use to it,
// and the system chooses. `client`: for SourceConfig::transparent.
// Errors name the act and the privilege that it takes.
Result<void> set_source(int fd, int family, const SourceConfig& source, const IpAddress& client);

}  // namespace sni
