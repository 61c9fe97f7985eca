#pragma once

// Theory of operation: the header of the PROXY protocol that a backend gets before the first flight,
// so that it knows its client in spite of us. Version 1 is a line of text, version 2 is binary and
// has room for more (haproxy.org, proxy-protocol.txt). The header is for one connection and bounded,
// so it is written into memory of the caller's, without an allocation.

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

// What is told. Texts may be empty, and then are left out.
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

// The bytes are in `space`. Addresses of two families are both told as IPv6, IPv4 as mapped.
// `form.version` is not none. A text that is too long is left out.
std::span<const std::uint8_t> write_proxy_header(const ProxyForm& form, const ProxyFacts& facts,
                                                 ProxyHeaderSpace& space);

// For a connection of our own, as for a health check: nobody is told of. Version 1 says UNKNOWN.
std::span<const std::uint8_t> write_proxy_local(ProxyVersion version, ProxyHeaderSpace& space);

}  // namespace sni
