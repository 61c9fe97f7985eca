#pragma once

// Theory of operation: writes the PROXY protocol header that a backend gets before the first
// flight, so that it learns its client's address. Version 1 is a line of text; version 2 is binary
// and has room for more (haproxy.org, proxy-protocol.txt). The header is bounded, so it is written
// into the caller's memory without an allocation.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/address/address.h"
#include "core/limits.h"
#include "core/proxy_protocol/proxy_form.h"
#include "core/proxy_protocol/proxy_wire.h"

namespace sni {

// The contents. Empty texts are left out.
struct ProxyFacts {
  Endpoint source;             // The client,
  Endpoint destination;        // and what it connected to.
  std::string_view alpn;       // A protocol, at most 255 bytes.
  std::string_view authority;  // The name it asked for, at most limits::server_name_max bytes.
  std::string_view unique_id;  // At most proxy_wire::unique_id_bytes_max bytes.
};

inline constexpr std::size_t proxy_header_bytes_max =
    proxy_wire::v2_fixed_bytes + proxy_wire::v2_address6_bytes + 4 * proxy_wire::tlv_head_bytes +
    255 + limits::server_name_max + proxy_wire::unique_id_bytes_max + proxy_wire::crc32c_bytes;
static_assert(proxy_header_bytes_max >= proxy_wire::v1_bytes_max);
using ProxyHeaderSpace = std::array<std::uint8_t, proxy_header_bytes_max>;

// Returns a view into `space`. Addresses of two families are both written as IPv6, IPv4 as
// v4-mapped. `form.version` is not none. A text that is too long is left out.
std::span<const std::uint8_t> write_proxy_header(const ProxyForm& form, const ProxyFacts& facts,
                                                 ProxyHeaderSpace& space);

// For a connection of our own, such as a health check: it has no client. Version 2 says LOCAL;
// version 1 has the ends of the connection itself, since some servers reject UNKNOWN, and UNKNOWN
// where it has no addresses (UNIX sockets; then `ends.source.port` is 0).
std::span<const std::uint8_t> write_proxy_local(ProxyVersion version, const ProxyFacts& ends,
                                                ProxyHeaderSpace& space);

}  // namespace sni
