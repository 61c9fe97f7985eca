// A raw socket with IPPROTO_RAW takes the IP header from us in both families, so it can send from
// an address and port whose socket has left.

#include "bpf/packet/packet_reset.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "bpf/packet/packet_splice.h"
#include "core/unique_fd.h"

namespace sni {
namespace {

constexpr std::size_t tcp_bytes = 20;
constexpr std::uint8_t reset_flag = 4;

// RFC 1071, of words in network order; a pseudo-header has an even number of bytes.
std::uint32_t add_up(std::uint32_t sum, std::span<const std::uint8_t> bytes) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += std::uint32_t{bytes[i]} << 8 | bytes[i + 1];
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void put16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

// The v4-mapped prefix adds only 0xffff, which is zero in one's complement.
std::array<std::uint8_t, tcp_bytes> reset_segment(const packet_key& leaving, std::uint32_t seq) {
  std::array<std::uint8_t, tcp_bytes> segment{};
  std::memcpy(segment.data(), &leaving.source_port_be, 2);
  std::memcpy(segment.data() + 2, &leaving.target_port_be, 2);
  const std::uint32_t seq_be = htonl(seq);
  std::memcpy(segment.data() + 4, &seq_be, 4);
  segment[12] = tcp_bytes / 4 << 4;
  segment[13] = reset_flag;
  std::array<std::uint8_t, 32> addresses{};
  std::memcpy(addresses.data(), leaving.source_be, 16);
  std::memcpy(addresses.data() + 16, leaving.target_be, 16);
  const std::uint32_t pseudo = add_up(IPPROTO_TCP + tcp_bytes, addresses);
  put16(segment.data() + 16, fold(add_up(pseudo, segment)));
  return segment;
}

Result<void> send_raw(int family, std::span<const std::uint8_t> packet, const sockaddr* target,
                      socklen_t target_size) {
  const auto raw = UniqueFd::adopt(::socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!raw) return fail_sys("cannot open a raw socket for a reset (CAP_NET_RAW)", errno);
  if (::sendto(raw.get(), packet.data(), packet.size(), MSG_DONTWAIT, target, target_size) < 0)
    return fail_sys("cannot send a reset", errno);
  return {};
}

Result<void> send_v4(const packet_key& leaving, std::span<const std::uint8_t> segment) {
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + segment.size()));
  ip.frag_off = htons(IP_DF);
  ip.ttl = PACKET_HOP_LIMIT;
  ip.protocol = IPPROTO_TCP;
  ip.saddr = leaving.source_be[3];
  ip.daddr = leaving.target_be[3];  // The kernel adds the checksum.
  std::array<std::uint8_t, sizeof ip + tcp_bytes> packet{};
  std::memcpy(packet.data(), &ip, sizeof ip);
  std::memcpy(packet.data() + sizeof ip, segment.data(), segment.size());
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_addr.s_addr = ip.daddr;
  return send_raw(AF_INET, packet, reinterpret_cast<const sockaddr*>(&target), sizeof target);
}

Result<void> send_v6(const packet_key& leaving, std::span<const std::uint8_t> segment,
                     std::uint32_t ifindex) {
  ip6_hdr ip{};
  ip.ip6_flow = htonl(6u << 28);
  ip.ip6_plen = htons(static_cast<std::uint16_t>(segment.size()));
  ip.ip6_nxt = IPPROTO_TCP;
  ip.ip6_hlim = PACKET_HOP_LIMIT;
  std::memcpy(&ip.ip6_src, leaving.source_be, 16);
  std::memcpy(&ip.ip6_dst, leaving.target_be, 16);
  std::array<std::uint8_t, sizeof ip + tcp_bytes> packet{};
  std::memcpy(packet.data(), &ip, sizeof ip);
  std::memcpy(packet.data() + sizeof ip, segment.data(), segment.size());
  sockaddr_in6 target{};
  target.sin6_family = AF_INET6;
  target.sin6_addr = ip.ip6_dst;
  if (IN6_IS_ADDR_LINKLOCAL(&ip.ip6_dst)) target.sin6_scope_id = ifindex;
  return send_raw(AF_INET6, packet, reinterpret_cast<const sockaddr*>(&target), sizeof target);
}

}  // namespace

Result<void> send_reset(const packet_key& key, std::uint32_t seq, std::uint32_t ifindex) {
  const packet_key leaving = reversed(key);
  const auto segment = reset_segment(leaving, seq);
  if (key.family == PACKET_IPV4) return send_v4(leaving, segment);
  return send_v6(leaving, segment, ifindex);
}

}  // namespace sni
