#pragma once

// Complete TCP segments over IPv4 or IPv6 with correct checksums, to be sent raw or given to a
// program, and their parser.

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <cstring>
#include <span>

#include "core/address/address.h"
#include "tests/support/packet_builder.h"

namespace sni::test {

inline std::uint32_t get32(const Bytes& bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

inline void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, value >> 16);
  put16(bytes, value & 0xffff);
}

inline std::uint16_t checksum_of(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 ? bytes[i] : bytes[i] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

struct Segment {
  Endpoint source;
  Endpoint target;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint8_t flags = 0x10;  // ACK.
  std::uint16_t window = 1000;
  Bytes options;  // A multiple of four bytes.
  Bytes payload;
  std::uint8_t hop_limit = 64;
  std::uint8_t traffic_class = 0;

  bool is_v4() const { return source.ip.is_v4(); }

  Bytes tcp_header() const {
    Bytes bytes;
    put16(bytes, source.port);
    put16(bytes, target.port);
    put32(bytes, seq);
    put32(bytes, ack);
    bytes.push_back(static_cast<std::uint8_t>((20 + options.size()) / 4 << 4));
    bytes.push_back(flags);
    put16(bytes, window);
    put32(bytes, 0);
    bytes.insert(bytes.end(), options.begin(), options.end());
    return bytes;
  }
};

// The sum over pseudo-header, header and payload, from scratch; v4-mapped words add nothing.
inline void seal_tcp(Bytes& tcp, const IpAddress& source, const IpAddress& target) {
  tcp[16] = tcp[17] = 0;
  Bytes all(source.bytes.begin(), source.bytes.end());
  all.insert(all.end(), target.bytes.begin(), target.bytes.end());
  all.insert(all.end(), tcp.begin(), tcp.end());
  const auto sum = checksum_of(all, static_cast<std::uint32_t>(IPPROTO_TCP + tcp.size()));
  tcp[16] = static_cast<std::uint8_t>(sum >> 8);
  tcp[17] = static_cast<std::uint8_t>(sum);
}

inline Bytes ip_header(const IpAddress& source, const IpAddress& target, std::size_t payload,
                       std::uint8_t protocol, std::uint8_t hop_limit,
                       std::uint8_t traffic_class = 0) {
  Bytes ip;
  if (source.is_v4()) {
    ip = {0x45, traffic_class};
    put16(ip, static_cast<unsigned>(20 + payload));
    put32(ip, 0x12344000);  // Don't fragment.
    ip.insert(ip.end(), {hop_limit, protocol, 0, 0});
    ip.insert(ip.end(), source.bytes.begin() + 12, source.bytes.end());
    ip.insert(ip.end(), target.bytes.begin() + 12, target.bytes.end());
    const auto sum = checksum_of(ip);
    ip[10] = static_cast<std::uint8_t>(sum >> 8);
    ip[11] = static_cast<std::uint8_t>(sum);
    return ip;
  }
  ip = {static_cast<std::uint8_t>(0x60 | traffic_class >> 4),
        static_cast<std::uint8_t>(traffic_class << 4), 0, 0};
  put16(ip, static_cast<unsigned>(payload));
  ip.insert(ip.end(), {protocol, hop_limit});
  ip.insert(ip.end(), source.bytes.begin(), source.bytes.end());
  ip.insert(ip.end(), target.bytes.begin(), target.bytes.end());
  return ip;
}

// Without a MAC header.
inline Bytes ip_packet(const Segment& segment) {
  Bytes tcp = segment.tcp_header();
  tcp.insert(tcp.end(), segment.payload.begin(), segment.payload.end());
  seal_tcp(tcp, segment.source.ip, segment.target.ip);
  Bytes packet = ip_header(segment.source.ip, segment.target.ip, tcp.size(), IPPROTO_TCP,
                           segment.hop_limit, segment.traffic_class);
  packet.insert(packet.end(), tcp.begin(), tcp.end());
  return packet;
}

inline Bytes frame_of(const Bytes& ip_packet) {
  Bytes frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  put16(frame, ip_packet[0] >> 4 == 4 ? ethertype_ipv4 : ethertype_ipv6);
  frame.insert(frame.end(), ip_packet.begin(), ip_packet.end());
  return frame;
}

}  // namespace sni::test
