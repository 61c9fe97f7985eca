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
  std::array<char, limits::server_name_max + 1> bytes;  // Lower case, and room for a last dot.
  std::uint8_t length = 0;                              // Without the dot.
  bool absolute = false;                                // Not to be completed by a search list.

  std::string_view view() const { return {bytes.data(), length}; }
  // With the dot where it is absolute.
  std::string_view text() const { return {bytes.data(), length + std::size_t{absolute}}; }
  void make_absolute() {
    bytes[length] = '.';
    absolute = true;
  }
};

// A last dot makes it absolute. Never empty. nullopt: not a host name; IP addresses are none
// either.
std::optional<DnsName> parse_dns_name(std::string_view text);

}  // namespace sni
