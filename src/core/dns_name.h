#pragma once

// A host name as DNS can carry it: the one form under which names are looked up, cached and asked.
// Names come from clients, so everything that is not plainly a host name is refused here and never
// reaches a resolver: letters, digits, '-' and '_' (which deployed names use although RFC 952 does
// not allow it), labels of 1 to 63 bytes, 253 bytes in all (RFC 1035). The last label is not a
// number: no such top-level domain exists, and other software reads "10.1" or "0x7f000001" as an
// IPv4 address.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/limits.h"

namespace sni {

struct DnsName {
  std::array<char, limits::server_name_max> bytes;
  std::uint8_t length = 0;
  bool absolute = false;  // It ended in a dot, which is not kept.

  std::string_view view() const { return {bytes.data(), length}; }  // Lower case.
};

// Never empty. nullopt: not a host name. IP addresses are none either.
std::optional<DnsName> parse_dns_name(std::string_view text);

}  // namespace sni
