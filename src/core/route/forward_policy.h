#pragma once

// Whether the proxy may connect to an address. Names are never judged, since they may point
// anywhere and change at any time. Two rules apply to each address after resolution:
//
// - For any route, the endpoint is not one of the proxy's own listeners. Such a connection would
//   come back to the proxy, be routed again and so on until all descriptors are gone.
// - For dynamic routes ("{name}"), where a client picks the name, the address is global and not one
//   of this host's own. Anything else would open the local network to all clients.
//
// Neither rule can know an address that a NAT in front of this host maps back to it. No interface
// has that address, so only the limits on connections end such a loop.

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

// Whether its clients may have addresses of this one's family.
bool takes_family_of(const ListenerEndpoint& listener, const IpAddress& address);

struct ForwardPolicy {
  std::span<const ListenerEndpoint> listeners;
  // Those of all interfaces (net/server/own_addresses.h).
  std::span<const IpAddress> own_addresses;
  std::span<const IpPrefix> own_prefixes;

  // For every route.
  ForwardVerdict judge_configured(const Endpoint& target) const;
  // For routes where the client picks the name.
  ForwardVerdict judge_requested(const Endpoint& target, bool allow_private) const;
};

}  // namespace sni
