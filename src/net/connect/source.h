#pragma once

// The source of a connection to a backend: address, interface, mark and ports of the route, set on
// its socket before connect(). A source address is bound without a port (IP_BIND_ADDRESS_NO_PORT),
// so that connect() chooses one that is free for this backend and each backend can use all ports.

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

// `family`: of the target, AF_INET or AF_INET6. The system chooses the address if the route has
// none of this family. `client`: for SourceConfig::transparent. Errors name the act and the
// privilege that it needs.
Result<void> set_source(int fd, int family, const SourceConfig& source, const IpAddress& client);

}  // namespace sni
