#pragma once

// Shared by the reader and the writer of the PROXY protocol, with the names of haproxy.org's
// proxy-protocol.txt.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sni::proxy_wire {

// Section 2.1. The longest line is "PROXY UNKNOWN" with two full IPv6 addresses and ports.
inline constexpr std::string_view v1_prefix = "PROXY ";
inline constexpr std::string_view v1_shortest = "PROXY UNKNOWN\r\n";
inline constexpr std::size_t v1_bytes_max = 107;

// Section 2.2.
inline constexpr std::array<std::uint8_t, 12> v2_signature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                           0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
// Signature, version and command, family, length.
inline constexpr std::size_t v2_fixed_bytes = 16;
inline constexpr std::uint8_t v2_local = 0x20;
inline constexpr std::uint8_t v2_proxy = 0x21;
inline constexpr std::uint8_t v2_unspecified = 0x00;
inline constexpr std::uint8_t v2_tcp4 = 0x11;
inline constexpr std::uint8_t v2_tcp6 = 0x21;
inline constexpr std::size_t v2_address4_bytes = 12;
inline constexpr std::size_t v2_address6_bytes = 36;
inline constexpr std::size_t v2_address_unix_bytes = 216;

enum class Tlv : std::uint8_t {
  alpn = 0x01,
  authority = 0x02,
  crc32c = 0x03,
  unique_id = 0x05,
};
inline constexpr std::size_t tlv_head_bytes = 3;  // Type, length.
inline constexpr std::size_t crc32c_bytes = 4;
inline constexpr std::size_t unique_id_bytes_max = 128;

}  // namespace sni::proxy_wire
