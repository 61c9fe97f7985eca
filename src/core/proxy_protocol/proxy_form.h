#pragma once

// How a backend is told of its client by the PROXY protocol, as the configuration says it.

#include <cstdint>

namespace sni {

enum class ProxyVersion : std::uint8_t { none, v1, v2 };

struct ProxyForm {
  ProxyVersion version = ProxyVersion::none;
  // Fields beside the addresses (TLV), version 2 alone.
  bool alpn = false;
  bool authority = false;
  bool unique_id = false;
  bool crc32c = false;
  bool has_fields() const { return alpn || authority || unique_id || crc32c; }
  bool operator==(const ProxyForm&) const = default;
};

}  // namespace sni
