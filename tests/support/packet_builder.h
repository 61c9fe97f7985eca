#pragma once

// Frames built field by field: packet(Ethernet{...}, Ipv4{...}, Tcp{...}). Each layer says what
// follows it, so that a test can also make invalid frames.

#include <arpa/inet.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace sni::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint16_t ethertype_ipv4 = 0x0800;
inline constexpr std::uint16_t ethertype_arp = 0x0806;
inline constexpr std::uint16_t ethertype_vlan = 0x8100;
inline constexpr std::uint16_t ethertype_service_vlan = 0x88a8;
inline constexpr std::uint16_t ethertype_ipv6 = 0x86dd;

inline constexpr std::uint8_t protocol_hop_by_hop = 0;
inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;
inline constexpr std::uint8_t protocol_routing = 43;
inline constexpr std::uint8_t protocol_fragment = 44;
inline constexpr std::uint8_t protocol_authentication = 51;
inline constexpr std::uint8_t protocol_icmpv6 = 58;
inline constexpr std::uint8_t protocol_destination = 60;

inline void put16(Bytes& bytes, unsigned value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}

template <std::size_t Size>
void put_address(Bytes& bytes, int family, const std::string& text) {
  std::array<std::uint8_t, Size> address{};
  if (inet_pton(family, text.c_str(), address.data()) != 1) throw std::invalid_argument(text);
  bytes.insert(bytes.end(), address.begin(), address.end());
}

struct Ethernet {
  std::uint16_t ethertype = ethertype_ipv4;

  void append_to(Bytes& bytes) const {
    bytes.insert(bytes.end(), {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
    put16(bytes, ethertype);
  }
};

struct Vlan {
  std::uint16_t id = 7;
  std::uint16_t ethertype = ethertype_ipv4;

  void append_to(Bytes& bytes) const {
    put16(bytes, id);
    put16(bytes, ethertype);
  }
};

struct Ipv4 {
  std::string source;
  std::string target = "203.0.113.1";
  std::uint8_t protocol = protocol_tcp;
  std::uint16_t fragment_offset = 0;  // In units of 8 octets.
  bool more_fragments = false;
  std::uint8_t header_words = 5;  // The claimed length; 6 and more add as many option words.
  std::uint8_t version = 4;

  void append_to(Bytes& bytes) const {
    bytes.push_back(static_cast<std::uint8_t>(version << 4 | header_words));
    bytes.push_back(0);
    put16(bytes, 60);
    put16(bytes, 1);
    put16(bytes, (more_fragments ? 0x2000u : 0u) | fragment_offset);
    bytes.push_back(64);
    bytes.push_back(protocol);
    put16(bytes, 0);
    put_address<4>(bytes, AF_INET, source);
    put_address<4>(bytes, AF_INET, target);
    if (header_words > 5) bytes.insert(bytes.end(), (header_words - 5u) * 4u, 1);  // No-operation.
  }
};

struct Ipv6 {
  std::string source;
  std::string target = "2001:db8:ffff::1";
  std::uint8_t next = protocol_tcp;
  std::uint8_t hop_limit = 64;
  std::uint8_t version = 6;

  void append_to(Bytes& bytes) const {
    bytes.insert(bytes.end(), {static_cast<std::uint8_t>(version << 4), 0, 0, 0});
    put16(bytes, 20);
    bytes.push_back(next);
    bytes.push_back(hop_limit);
    put_address<16>(bytes, AF_INET6, source);
    put_address<16>(bytes, AF_INET6, target);
  }
};

// Hop-by-hop, routing and destination options; with `word_bytes` 4 and units 1, authentication.
struct Ipv6Extension {
  std::uint8_t next = protocol_tcp;
  std::uint8_t units = 0;  // The value of its length field.
  std::uint8_t unit_bytes = 8;

  void append_to(Bytes& bytes) const {
    bytes.push_back(next);
    bytes.push_back(units);
    bytes.insert(bytes.end(), 6u + std::size_t{units} * unit_bytes, 0);
  }
};

struct Ipv6Fragment {
  std::uint8_t next = protocol_tcp;
  std::uint16_t offset = 0;  // In units of 8 octets.

  void append_to(Bytes& bytes) const {
    bytes.push_back(next);
    bytes.push_back(0xff);  // Reserved; must not be read as a length.
    put16(bytes, static_cast<unsigned>(offset) << 3 | 1);
    bytes.insert(bytes.end(), {0, 0, 0, 1});
  }
};

struct Tcp {
  std::uint16_t source = 40'000;
  std::uint16_t target = 443;

  void append_to(Bytes& bytes) const {
    put16(bytes, source);
    put16(bytes, target);
    bytes.insert(bytes.end(), {0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0});
  }
};

struct Udp {
  std::uint16_t source = 40'000;
  std::uint16_t target = 443;

  void append_to(Bytes& bytes) const {
    put16(bytes, source);
    put16(bytes, target);
    put16(bytes, 8);
    put16(bytes, 0);
  }
};

struct Icmpv6 {
  std::uint8_t type = 135;  // Neighbour solicitation.

  void append_to(Bytes& bytes) const {
    bytes.push_back(type);
    bytes.insert(bytes.end(), 23, 0);
  }
};

struct Arp {
  std::string sender;

  void append_to(Bytes& bytes) const {
    bytes.insert(bytes.end(), {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2});
    put_address<4>(bytes, AF_INET, sender);
    bytes.insert(bytes.end(), 10, 0);
  }
};

template <typename... Layers>
Bytes packet(const Layers&... layers) {
  Bytes bytes;
  (layers.append_to(bytes), ...);
  return bytes;
}

}  // namespace sni::test
