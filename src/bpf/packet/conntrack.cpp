#include "bpf/packet/conntrack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <unistd.h>

#include <span>

namespace sni {
namespace {

// Exists in each network namespace once nf_conntrack is loaded.
constexpr const char* tracked_connections = "/proc/sys/net/netfilter/nf_conntrack_count";

void put_address(NetlinkRequest& request, const IpAddress& address, std::uint16_t v4_type,
                 std::uint16_t v6_type) {
  const auto bytes = std::as_bytes(std::span(address.bytes));
  if (address.is_v4()) {
    request.put(v4_type, bytes.subspan(v4_mapped_offset));
  } else {
    request.put(v6_type, bytes);
  }
}

// Entries are found by the tuple of either direction, whichever end is the original one.
NetlinkRequest request_about(const Endpoint& one, const Endpoint& other, std::uint16_t what,
                             std::uint16_t flags) {
  const nfgenmsg header{
      .nfgen_family = static_cast<std::uint8_t>(one.ip.is_v4() ? AF_INET : AF_INET6),
      .version = NFNETLINK_V0,
      .res_id = 0};
  NetlinkRequest request(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | what), flags,
                         header);
  const std::size_t tuple = request.begin_nest(CTA_TUPLE_ORIG);
  const std::size_t addresses = request.begin_nest(CTA_TUPLE_IP);
  put_address(request, one.ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
  put_address(request, other.ip, CTA_IP_V4_DST, CTA_IP_V6_DST);
  request.end_nest(addresses);
  const std::size_t protocol = request.begin_nest(CTA_TUPLE_PROTO);
  request.put_value(CTA_PROTO_NUM, std::uint8_t{IPPROTO_TCP});
  request.put_value(CTA_PROTO_SRC_PORT, htons(one.port));
  request.put_value(CTA_PROTO_DST_PORT, htons(other.port));
  request.end_nest(protocol);
  request.end_nest(tuple);
  return request;
}

}  // namespace

std::optional<Conntrack> Conntrack::open() {
  auto count = UniqueFd::adopt(::open(tracked_connections, O_RDONLY | O_CLOEXEC));
  if (!count) return std::nullopt;
  auto netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!netfilter) return std::nullopt;
  return Conntrack(std::move(count), std::move(*netfilter));
}

bool Conntrack::is_empty() const {
  char first = 0;
  return ::pread(count_.get(), &first, 1, 0) == 1 && first == '0';
}

Conntrack::Entry Conntrack::find(const Endpoint& own, const Endpoint& far) {
  if (is_empty()) return Entry::none;
  auto request = request_about(own, far, IPCTNL_MSG_CT_GET, 0);
  Entry entry = Entry::none;
  const auto asked = netfilter_.ask(request, [&](std::uint16_t, NetlinkBytes body) {
    entry = Entry::plain;
    for_each_attribute(attributes_behind<nfgenmsg>(body),
                       [&](std::uint16_t type, NetlinkBytes value) {
                         if (type != CTA_STATUS) return;
                         const auto status = ntohl(netlink_value<std::uint32_t>(value).value_or(0));
                         if ((status & IPS_NAT_MASK) != 0) entry = Entry::translated;
                       });
  });
  return asked ? entry : Entry::none;
}

bool Conntrack::tolerate(const Endpoint& one, const Endpoint& other) {
  constexpr nf_ct_tcp_flags liberal{.flags = IP_CT_TCP_FLAG_BE_LIBERAL,
                                    .mask = IP_CT_TCP_FLAG_BE_LIBERAL};
  // Without NLM_F_CREATE: changes an entry, and makes none.
  auto request = request_about(one, other, IPCTNL_MSG_CT_NEW, NLM_F_ACK);
  const std::size_t info = request.begin_nest(CTA_PROTOINFO);
  const std::size_t tcp = request.begin_nest(CTA_PROTOINFO_TCP);
  request.put_value(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, liberal);
  request.put_value(CTA_PROTOINFO_TCP_FLAGS_REPLY, liberal);
  request.end_nest(tcp);
  request.end_nest(info);
  return netfilter_.ask(request).has_value();
}

bool Conntrack::remove(const Endpoint& one, const Endpoint& other) {
  auto request = request_about(one, other, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
  return netfilter_.ask(request).has_value();
}

}  // namespace sni
