#pragma once

// Blocks that would cut off the operator himself: with scope = "host", those that cover an address
// of this host, its gateways, its resolvers or a backend.

#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

// An address that packets must keep coming from, and what it is: "the gateway", "a backend".
struct NeededSource {
  IpAddress address;
  std::string what;
};
// Errors name what cannot be read of the system.
Result<std::vector<NeededSource>> needed_sources(const Config& config);

// One line for each block that covers one of them and is not undone by the allowlist.
std::vector<std::string> guard_warnings(const Config& config,
                                        const std::vector<AccessEntry>& block_file,
                                        const std::vector<NeededSource>& needed);

// The next hops of default routes in the form of /proc/net/route and /proc/net/ipv6_route.
std::vector<IpAddress> parse_gateways(std::string_view ipv4_routes, std::string_view ipv6_routes);

}  // namespace sni
