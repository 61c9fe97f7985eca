// A raw socket with IPPROTO_RAW takes the IP header from us in both families, so it can send from
// an address and port whose socket has left.

#include "bpf/packet/packet_segment.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "bpf/packet/packet_splice.h"
#include "core/unique_fd.h"

namespace sni {
namespace {

constexpr std::size_t tcp_bytes = 20;
constexpr std::size_t stamps_bytes = 12;  // TCP option of RFC 7323, padded.
constexpr std::uint8_t reset_flag = 4;
constexpr std::uint8_t ack_flag = 16;
constexpr std::uint64_t ns_per_stamp = 1'000'000;  // Of the kernel's TCP timestamps.

struct Segment {
  std::array<std::uint8_t, tcp_bytes + stamps_bytes> bytes{};
  std::size_t size = tcp_bytes;

  std::span<const std::uint8_t> used() const { return std::span(bytes).first(size); }
};

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

void put32(std::uint8_t* at, std::uint32_t value) {
  put16(at, static_cast<std::uint16_t>(value >> 16));
  put16(at + 2, static_cast<std::uint16_t>(value));
}

Segment begin_segment(const packet_key& leaving, std::uint8_t flags, std::uint32_t seq) {
  Segment segment;
  std::memcpy(segment.bytes.data(), &leaving.source_port_be, 2);
  std::memcpy(segment.bytes.data() + 2, &leaving.target_port_be, 2);
  put32(segment.bytes.data() + 4, seq);
  segment.bytes[13] = flags;
  return segment;
}

// The length and the checksum. The v4-mapped prefix adds only 0xffff, which is zero in one's
// complement.
void finish_segment(Segment& segment, const packet_key& leaving) {
  segment.bytes[12] = static_cast<std::uint8_t>(segment.size / 4 << 4);
  std::array<std::uint8_t, 32> addresses{};
  std::memcpy(addresses.data(), leaving.source_be, 16);
  std::memcpy(addresses.data() + 16, leaving.target_be, 16);
  const auto length = static_cast<std::uint32_t>(segment.size);
  const std::uint32_t pseudo = add_up(IPPROTO_TCP + length, addresses);
  put16(segment.bytes.data() + 16, fold(add_up(pseudo, segment.used())));
}

Result<void> send_raw(const UniqueFd& raw, std::span<const std::uint8_t> packet,
                      const sockaddr* target, socklen_t target_size) {
  if (::sendto(raw.get(), packet.data(), packet.size(), MSG_DONTWAIT, target, target_size) < 0)
    return fail_sys("cannot send a segment by a raw socket", errno);
  return {};
}

Result<void> send_v4(const UniqueFd& raw, const packet_key& leaving,
                     std::span<const std::uint8_t> segment) {
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + segment.size()));
  ip.frag_off = htons(IP_DF);
  ip.ttl = PACKET_HOP_LIMIT;
  ip.protocol = IPPROTO_TCP;
  ip.saddr = leaving.source_be[3];
  ip.daddr = leaving.target_be[3];  // The kernel adds the checksum.
  std::array<std::uint8_t, sizeof ip + sizeof(Segment::bytes)> packet{};
  std::memcpy(packet.data(), &ip, sizeof ip);
  std::memcpy(packet.data() + sizeof ip, segment.data(), segment.size());
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_addr.s_addr = ip.daddr;
  return send_raw(raw, std::span(packet).first(sizeof ip + segment.size()),
                  reinterpret_cast<const sockaddr*>(&target), sizeof target);
}

Result<void> send_v6(const UniqueFd& raw, const packet_key& leaving,
                     std::span<const std::uint8_t> segment, std::uint32_t ifindex) {
  ip6_hdr ip{};
  ip.ip6_flow = htonl(6u << 28);
  ip.ip6_plen = htons(static_cast<std::uint16_t>(segment.size()));
  ip.ip6_nxt = IPPROTO_TCP;
  ip.ip6_hlim = PACKET_HOP_LIMIT;
  std::memcpy(&ip.ip6_src, leaving.source_be, 16);
  std::memcpy(&ip.ip6_dst, leaving.target_be, 16);
  std::array<std::uint8_t, sizeof ip + sizeof(Segment::bytes)> packet{};
  std::memcpy(packet.data(), &ip, sizeof ip);
  std::memcpy(packet.data() + sizeof ip, segment.data(), segment.size());
  sockaddr_in6 target{};
  target.sin6_family = AF_INET6;
  target.sin6_addr = ip.ip6_dst;
  if (IN6_IS_ADDR_LINKLOCAL(&ip.ip6_dst)) target.sin6_scope_id = ifindex;
  return send_raw(raw, std::span(packet).first(sizeof ip + segment.size()),
                  reinterpret_cast<const sockaddr*>(&target), sizeof target);
}

Result<void> send_segment(const UniqueFd& raw, Segment segment, const packet_key& leaving,
                          std::uint32_t ifindex) {
  finish_segment(segment, leaving);
  if (leaving.family == PACKET_IPV4) return send_v4(raw, leaving, segment.used());
  return send_v6(raw, leaving, segment.used(), ifindex);
}

}  // namespace

Result<SegmentSender> SegmentSender::open() {
  SegmentSender sender;
  for (const int family : {AF_INET, AF_INET6}) {
    auto raw =
        UniqueFd::adopt(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
    if (!raw && errno != EAFNOSUPPORT) {
      return fail_sys("cannot open a raw socket (needs CAP_NET_RAW)", errno);
    }
    (family == AF_INET ? sender.v4_ : sender.v6_) = std::move(raw);
  }
  return sender;
}

Result<void> SegmentSender::reset(const packet_key& key, std::uint32_t seq,
                                  std::uint32_t ifindex) const {
  const packet_key leaving = reversed(key);
  return send_segment(socket_of(key), begin_segment(leaving, reset_flag, seq), leaving, ifindex);
}

ProbeNumbers probe_numbers(const packet_flow& end, const packet_flow& other, std::uint64_t now_ns) {
  const auto acked = static_cast<std::uint32_t>(end.acked);
  ProbeNumbers numbers{.seq = end.ack_seen - 1, .ack = acked};
  // The other end's, in the scale that the proxy announced.
  const auto room = static_cast<std::int32_t>(end.edge - acked);
  const std::uint32_t window = room > 0 ? static_cast<std::uint32_t>(room) >> other.scale_to : 0;
  numbers.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(window, 0xffff));
  if ((end.marks & PACKET_TIMESTAMPS) != 0) {
    numbers.stamp =
        other.stamp + static_cast<std::uint32_t>((now_ns - other.stamp_ns) / ns_per_stamp);
  }
  return numbers;
}

Result<void> SegmentSender::probe(const packet_key& key, const ProbeNumbers& numbers,
                                  std::uint32_t ifindex) const {
  const packet_key leaving = reversed(key);
  Segment segment = begin_segment(leaving, ack_flag, numbers.seq);
  put32(segment.bytes.data() + 8, numbers.ack);
  put16(segment.bytes.data() + 14, numbers.window);
  if (numbers.stamp) {
    // Two NOPs, the kind, the length. The echo stays 0: the end's newest timestamp is not known
    // here.
    constexpr std::array<std::uint8_t, 4> head{1, 1, 8, 10};
    std::memcpy(segment.bytes.data() + tcp_bytes, head.data(), head.size());
    put32(segment.bytes.data() + tcp_bytes + head.size(), *numbers.stamp);
    segment.size += stamps_bytes;
  }
  return send_segment(socket_of(key), segment, leaving, ifindex);
}

}  // namespace sni
