#pragma once

// The configured form in which a backend learns of its client by the PROXY protocol.

#include <cstdint>

namespace sni {

enum class ProxyVersion : std::uint8_t { none, v1, v2 };

struct ProxyForm {
  ProxyVersion version = ProxyVersion::none;
  // Fields besides the addresses (TLV), version 2 only.
  bool alpn = false;
  bool authority = false;
  bool unique_id = false;
  bool crc32c = false;
  bool has_fields() const { return alpn || authority || unique_id || crc32c; }
  bool operator==(const ProxyForm&) const = default;
};

}  // namespace sni
