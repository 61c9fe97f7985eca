#include "bpf/packet/route_lookup.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>

namespace sni {
namespace {

// In netlink's form: 4 or 16 bytes.
NetlinkBytes wire(const IpAddress& address) {
  const auto bytes = std::as_bytes(std::span(address.bytes));
  return address.is_v4() ? bytes.subspan(v4_mapped_offset) : bytes;
}

// RTA_VIA: a gateway of the other family, as a family and an address.
std::optional<IpAddress> via(NetlinkBytes value) {
  const std::size_t family = sizeof(std::uint16_t);
  return value.size() < family ? std::nullopt : netlink_address(value.subspan(family));
}

std::uint32_t path_mtu(NetlinkBytes metrics) {
  std::uint32_t mtu = 0;
  for_each_attribute(metrics, [&](std::uint16_t type, NetlinkBytes value) {
    if (type == RTAX_MTU) mtu = netlink_value<std::uint32_t>(value).value_or(0);
  });
  return mtu;
}

PacketRoute route_of(NetlinkBytes body) {
  PacketRoute route;
  const auto header = netlink_value<rtmsg>(body);
  if (!header) return route;
  route.local = header->rtm_type == RTN_LOCAL;
  for_each_attribute(attributes_behind<rtmsg>(body), [&](std::uint16_t type, NetlinkBytes value) {
    if (type == RTA_OIF) route.interface = netlink_value<std::uint32_t>(value).value_or(0);
    if (type == RTA_GATEWAY) route.gateway = netlink_address(value);
    if (type == RTA_VIA) route.gateway = via(value);
    if (type == RTA_METRICS) route.mtu = path_mtu(value);
  });
  if (header->rtm_type != RTN_LOCAL && header->rtm_type != RTN_UNICAST) route.interface = 0;
  return route;
}

Interface interface_of(NetlinkBytes body) {
  Interface found;
  const auto info = netlink_value<ifinfomsg>(body);
  if (!info) return found;
  found.index = static_cast<std::uint32_t>(info->ifi_index);
  found.type = info->ifi_type;
  found.up = (info->ifi_flags & IFF_UP) != 0;
  bool elsewhere = false;
  for_each_attribute(attributes_behind<ifinfomsg>(body),
                     [&](std::uint16_t type, NetlinkBytes value) {
                       if (type == IFLA_IFNAME) found.name = netlink_text(value);
                       if (type == IFLA_MTU)
                         found.mtu = netlink_value<std::uint32_t>(value).value_or(0);
                       if (type == IFLA_LINK)
                         found.lower = netlink_value<std::uint32_t>(value).value_or(0);
                       if (type == IFLA_MASTER)
                         found.upper = netlink_value<std::uint32_t>(value).value_or(0);
                       if (type == IFLA_LINK_NETNSID) elsewhere = true;
                       if (type != IFLA_LINKINFO) return;
                       for_each_attribute(value, [&](std::uint16_t detail, NetlinkBytes what) {
                         if (detail == IFLA_INFO_KIND) found.kind = netlink_text(what);
                       });
                     });
  if (elsewhere || found.lower == found.index) found.lower = 0;
  return found;
}

}  // namespace

Result<Interface> find_interface(NetlinkSocket& route, std::uint32_t index) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  NetlinkRequest request(RTM_GETLINK, 0, header);
  Interface found;
  const auto asked =
      route.ask(request, [&](std::uint16_t, NetlinkBytes body) { found = interface_of(body); });
  if (!asked) return std::unexpected(asked.error());
  return found;
}

Result<RouteLookup> RouteLookup::open() {
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  if (!route) return std::unexpected(route.error());
  return RouteLookup(std::move(*route));
}

Result<std::vector<Interface>> RouteLookup::entrances() {
  std::vector<std::uint32_t> with_address;
  NetlinkRequest addresses(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  auto asked = route_.ask(addresses, [&](std::uint16_t, NetlinkBytes body) {
    const auto address = netlink_value<ifaddrmsg>(body);
    if (address && address->ifa_scope < RT_SCOPE_LINK) with_address.push_back(address->ifa_index);
  });
  if (!asked) return std::unexpected(asked.error());
  std::vector<Interface> found;
  NetlinkRequest links(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  asked = route_.ask(links, [&](std::uint16_t, NetlinkBytes body) {
    Interface each = interface_of(body);
    if (!each.up || each.upper != 0 || each.type == ARPHRD_LOOPBACK) return;
    const bool addressed = std::ranges::find(with_address, each.index) != with_address.end();
    if (each.kind.empty() || addressed) found.push_back(std::move(each));
  });
  if (!asked) return std::unexpected(asked.error());
  return found;
}

Result<PacketRoute> RouteLookup::find(const IpAddress& source, const Endpoint& target) {
  auto route = ask(source, target);
  if (!route) return route;
  if (route->interface == 0) {
    return fail_sys("no way to " + target.ip.to_string(), ENETUNREACH);
  }
  // IPv6 gives the interface that has the address, but both families send such packets over
  // loopback.
  if (route->local) route->interface = ::if_nametoindex("lo");
  if (route->mtu == 0) {
    const auto device = interface(route->interface);
    if (!device) return std::unexpected(device.error());
    route->mtu = device->mtu;
  }
  return route;
}

Result<PacketRoute> RouteLookup::ask(const IpAddress& source, const Endpoint& target) {
  const bool v4 = target.ip.is_v4();
  rtmsg header{};
  header.rtm_family = v4 ? AF_INET : AF_INET6;
  header.rtm_dst_len = v4 ? 32 : 128;
  const bool from_any = source == IpAddress{};
  if (!from_any) header.rtm_src_len = header.rtm_dst_len;
  NetlinkRequest request(RTM_GETROUTE, 0, header);
  request.put(RTA_DST, wire(target.ip));
  if (!from_any) request.put(RTA_SRC, wire(source));
  if (target.scope != 0) request.put_value(RTA_OIF, target.scope);
  PacketRoute route;
  const auto asked =
      route_.ask(request, [&](std::uint16_t, NetlinkBytes body) { route = route_of(body); });
  if (!asked) {
    return std::unexpected(
        Error{.what = "no way to " + target.ip.to_string() + ": " + asked.error().what,
              .sys_errno = asked.error().sys_errno});
  }
  return route;
}

}  // namespace sni
