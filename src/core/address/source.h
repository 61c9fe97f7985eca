#pragma once

// What counts as one client for bans and limits per source.

#include <cstdint>

#include "core/address/address.h"

namespace sni {

// An IPv4 source is one address. An IPv6 source is the first `ipv6_length` bits (1..128), since one
// subscriber has at least a /64 to send from. A link-local address (RFC 4291, 2.5.6) is a source of
// its own, because all neighbours share its prefix.
inline IpPrefix source_of(const IpAddress& address, std::uint8_t ipv6_length) {
  const bool is_link_local = address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
  const std::uint8_t length = address.is_v4() || is_link_local ? std::uint8_t{128} : ipv6_length;
  return {.base = address.masked(length), .length = length};
}

}  // namespace sni
