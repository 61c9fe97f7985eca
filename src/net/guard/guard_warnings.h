#pragma once

// Finds blocks that would cut off the operator: with scope = "host", those that cover an address of
// this host, its gateways, its resolvers or a backend, and with XDP, what would cut off a proxy
// before this one.

#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

// An address whose packets are needed, and what it is: "the gateway", "a backend".
struct NeededSource {
  IpAddress address;
  std::string what;
};
// Errors name what could not be read from the system.
Result<std::vector<NeededSource>> needed_sources(const Config& config);

// One line for each block that covers one of them and is not overridden by the allowlist, and for
// each proxy of 'accept_proxy_from' whose packets XDP would drop.
std::vector<std::string> guard_warnings(const Config& config,
                                        const std::vector<AccessEntry>& block_file,
                                        const std::vector<NeededSource>& needed);

// The next hops of default routes in the form of /proc/net/route and /proc/net/ipv6_route.
std::vector<IpAddress> parse_gateways(std::string_view ipv4_routes, std::string_view ipv6_routes);

}  // namespace sni
