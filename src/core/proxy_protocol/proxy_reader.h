#pragma once

// Theory of operation: reads the PROXY protocol header in which a proxy in front of us announces
// its client. It may arrive split in any way, and together with bytes of the client. Version 1 is a
// line of at most 107 bytes. Version 2 has its length in its first 16 bytes, so it is parsed at
// most twice. The whole header is checked before any of it is used (haproxy.org,
// proxy-protocol.txt).

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "core/address/address.h"

namespace sni {

enum class ProxyError : std::uint8_t {
  missing,    // The bytes are not a header.
  malformed,  // The specification does not allow this header.
  oversized,  // A line without an end, or more than limits::proxy_header_bytes.
  checksum,   // Its CRC32C is wrong.
};
// For logs; without a full stop.
std::string_view to_string(ProxyError error);

struct ProxyHeader {
  struct Ends {
    Endpoint source;
    Endpoint destination;
    bool operator==(const Ends&) const = default;
  };
  std::size_t size = 0;  // Bytes; what follows is the client's.
  // nullopt: the connection is the proxy's own, or is not TCP over IP. The addresses of the
  // connection itself apply then.
  std::optional<Ends> ends;
  bool operator==(const ProxyHeader&) const = default;
};

struct ProxyReading {
  std::size_t needed = 0;  // Bytes that must be there before the next call; 0: `header` is whole.
  ProxyHeader header;
  bool operator==(const ProxyReading&) const = default;
};

// `bytes`: everything received so far.
std::expected<ProxyReading, ProxyError> read_proxy_header(std::span<const std::uint8_t> bytes);

// Whether `bytes` are a prefix of a header, or begin with that of either version.
bool begins_proxy_header(std::span<const std::uint8_t> bytes);

}  // namespace sni
