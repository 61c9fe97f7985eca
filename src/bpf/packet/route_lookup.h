#pragma once

// Asks the kernel for the route of the proxy's packets (RTM_GETROUTE): the interface, whether it
// leads to this host itself, and the MTU. bpf_redirect_neigh() looks up the neighbour for each
// packet, so the programs need only the interface.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/netlink.h"
#include "core/address/address.h"
#include "core/error.h"

namespace sni {

struct PacketRoute {
  std::uint32_t interface = 0;  // Loopback if `local`.
  bool local = false;           // An address of this host.
  std::optional<IpAddress> gateway;
  std::uint32_t mtu = 0;  // Bytes of an IP packet: the path's MTU if known, else the device's.

  bool operator==(const PacketRoute&) const = default;
};

struct Interface {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;        // "veth", "bridge", "vlan", ...; empty: hardware, or loopback.
  std::uint16_t type = 0;  // ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE, ...
  std::uint32_t mtu = 0;
  std::uint32_t lower = 0;  // The lower interface (IFLA_LINK) if it is in this namespace, else 0.
  std::uint32_t upper = 0;  // The bridge, bond or VRF that it is a port of (IFLA_MASTER).
  bool up = false;

  bool operator==(const Interface&) const = default;
};

// sys_errno ENODEV: it does not exist.
Result<Interface> find_interface(NetlinkSocket& route, std::uint32_t index);

class RouteLookup {
 public:
  static Result<RouteLookup> open();

  // From `source` (IpAddress{}: not chosen yet) to `target`. Link-local targets need their scope.
  // sys_errno ENETUNREACH, EHOSTUNREACH, EACCES: no route, or `source` is not an address of this
  // host.
  Result<PacketRoute> find(const IpAddress& source, const Endpoint& target);
  Result<Interface> interface(std::uint32_t index) { return find_interface(route_, index); }
  // Those by which packets may come to this host: hardware, and others with an address that is
  // valid beyond their link. Not ports, since their packets arrive on the upper interface, and not
  // loopback.
  Result<std::vector<Interface>> entrances();

 private:
  explicit RouteLookup(NetlinkSocket route) : route_(std::move(route)) {}
  Result<PacketRoute> ask(const IpAddress& source, const Endpoint& target);

  NetlinkSocket route_;
};

}  // namespace sni
