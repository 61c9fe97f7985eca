#pragma once

// Theory of operation: the header of the PROXY protocol by which a proxy in front of us tells whom
// it has accepted. It may come split in any way, and joined with the bytes of the client. Version 1
// is a line of at most 107 bytes; version 2 says its length in its first 16 bytes, so that it is
// looked at twice at most. Everything in it is checked before anything of it is believed
// (haproxy.org, proxy-protocol.txt).

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "core/address/address.h"

namespace sni {

enum class ProxyError : std::uint8_t {
  missing,    // What came is no header.
  malformed,  // A header with something in it that the specification does not allow.
  oversized,  // A line without an end, or more than limits::proxy_header_bytes.
  checksum,   // Its CRC32C is another one.
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
  // nullopt: the connection is the proxy's own, or comes from something that is no TCP over IP. The
  // addresses of the connection itself hold then.
  std::optional<Ends> ends;
  bool operator==(const ProxyHeader&) const = default;
};

struct ProxyReading {
  std::size_t needed = 0;  // Bytes that must be there before the next call; 0: `header` is whole.
  ProxyHeader header;
  bool operator==(const ProxyReading&) const = default;
};

// `bytes`: all that has come, from the first one on.
std::expected<ProxyReading, ProxyError> read_proxy_header(std::span<const std::uint8_t> bytes);

// Whether `bytes` begin as a header does, of either version, as far as they go.
bool begins_proxy_header(std::span<const std::uint8_t> bytes);

}  // namespace sni
