#include "net/server/own_addresses.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "bpf/netlink.h"

namespace sni {
namespace {

Result<std::vector<IpAddress>> interface_addresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return fail_sys("cannot list the addresses of this host", errno);
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owned(first, &::freeifaddrs);
  std::vector<IpAddress> addresses;
  for (const ifaddrs* entry = first; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    const sa_family_t family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr,
                family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (const auto endpoint = from_sockaddr(storage)) addresses.push_back(endpoint->ip);
  }
  std::ranges::sort(addresses);
  const auto repeated = std::ranges::unique(addresses);
  addresses.erase(repeated.begin(), repeated.end());
  return addresses;
}

std::optional<IpPrefix> local_prefix(NetlinkBytes body) {
  const auto route = netlink_value<rtmsg>(body);
  if (!route || route->rtm_type != RTN_LOCAL || route->rtm_table != RT_TABLE_LOCAL) return {};
  const bool is_v4 = route->rtm_family == AF_INET;
  const auto bits =
      static_cast<std::uint8_t>(route->rtm_dst_len + (is_v4 ? v4_mapped_offset * 8 : 0));
  if (bits >= IpPrefix{}.length) return {};  // An address of an interface.
  IpPrefix prefix{.base = is_v4 ? IpAddress::v4(0, 0, 0, 0) : IpAddress{}, .length = bits};
  for_each_attribute(attributes_behind<rtmsg>(body), [&](std::uint16_t type, NetlinkBytes value) {
    if (type == RTA_DST) prefix.base = netlink_address(value).value_or(prefix.base);
  });
  return prefix;
}

Result<std::vector<IpPrefix>> local_prefixes() {
  auto kernel = NetlinkSocket::open(NETLINK_ROUTE);
  if (!kernel) return std::unexpected(kernel.error());
  std::vector<IpPrefix> prefixes;
  NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP, rtmsg{});
  const auto asked = kernel->ask(request, [&](std::uint16_t, NetlinkBytes body) {
    if (const auto prefix = local_prefix(body)) prefixes.push_back(*prefix);
  });
  if (!asked) return std::unexpected(asked.error());
  return prefixes;
}

}  // namespace

Result<OwnAddresses> own_addresses() {
  auto addresses = interface_addresses();
  if (!addresses) return std::unexpected(addresses.error());
  auto prefixes = local_prefixes();
  if (!prefixes) return std::unexpected(prefixes.error());
  return OwnAddresses{.addresses = std::move(*addresses), .prefixes = std::move(*prefixes)};
}

Result<UniqueFd> watch_own_addresses() {
  UniqueFd fd =
      UniqueFd::adopt(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) {
    return fail_sys("cannot watch the addresses of this host", errno);
  }
  return fd;
}

void rearm(const UniqueFd& watch) {
  std::array<char, 4096> message;
  // ENOBUFS: some messages were lost, and the next read continues.
  while (::read(watch.get(), message.data(), message.size()) > 0 || errno == ENOBUFS) {
  }
}

}  // namespace sni
