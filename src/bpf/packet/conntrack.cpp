#include "bpf/packet/conntrack.h"

#include <arpa/inet.h>
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

}  // namespace

std::optional<Conntrack> Conntrack::open() {
  if (::access(tracked_connections, F_OK) != 0) return std::nullopt;
  auto netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!netfilter) return std::nullopt;
  return Conntrack(std::move(*netfilter));
}

bool Conntrack::remove(const Endpoint& one, const Endpoint& other) {
  const nfgenmsg header{
      .nfgen_family = static_cast<std::uint8_t>(one.ip.is_v4() ? AF_INET : AF_INET6),
      .version = NFNETLINK_V0,
      .res_id = 0};
  NetlinkRequest request((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, header);
  // Entries are found by the tuple of either direction, whichever end is the original one.
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
  return netfilter_.ask(request).has_value();
}

}  // namespace sni
