#pragma once

// May the proxy connect there? Two questions, asked of every address after it is resolved (names
// may point anywhere, and may point elsewhere a second later, so names are never judged):
//
// - any route: the endpoint is not one of the proxy's own listeners. Such a connection would come
//   back to the proxy, be routed again and so on until all descriptors are gone.
// - dynamic routes ("{name}"), where a client picks the name: only global addresses, and none of
//   this host's own. Everything else would open the local network to whoever can reach the proxy.
//
// What neither can know: an address that a NAT before this host maps back to it. It is no address
// of an interface, so a loop through it ends at the limits on connections.

#include <cstdint>
#include <span>

#include "core/address/address.h"

namespace sni {

enum class ForwardVerdict : std::uint8_t {
  allowed,
  own_listener,  // Would loop back into the proxy.
  own_address,   // An address of this host, by a dynamic route.
  not_global,    // Loopback, private, link-local, unspecified, multicast or reserved, by a dynamic
                 // route.
};

struct ListenerEndpoint {
  Endpoint endpoint;
  bool v6only = false;  // [::] takes both families unless set.
};

struct ForwardPolicy {
  std::span<const ListenerEndpoint> listeners;
  std::span<const IpAddress> own_addresses;  // Of all interfaces (net/server/own_addresses.h).

  // For every route.
  ForwardVerdict judge_configured(const Endpoint& target) const;
  // For routes where the client picks the name.
  ForwardVerdict judge_requested(const Endpoint& target, bool allow_private) const;
};

}  // namespace sni
