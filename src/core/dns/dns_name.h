#pragma once

// A host name as it is looked up, cached and asked for. It has the canonical form of
// core/hello/server_name.h, which refuses anything that is not clearly a host name, and a flag for
// absolute names.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dns/service.h"
#include "core/limits.h"

namespace sni {

struct DnsName {
  std::array<char, limits::server_name_max + 1> bytes;  // Lower case, with room for a trailing dot.
  std::uint8_t length = 0;                              // Without the dot.
  bool absolute = false;                                // Not to be completed by a search list.

  std::string_view view() const { return {bytes.data(), length}; }
  // With the dot where it is absolute.
  std::string_view text() const { return {bytes.data(), length + std::size_t{absolute}}; }
  bool is_service() const { return view().starts_with(service_prefix); }
  void make_absolute() {
    bytes[length] = '.';
    absolute = true;
  }
};

// A trailing dot makes it absolute. Never empty. nullopt: not a host name, or an IP address.
std::optional<DnsName> parse_dns_name(std::string_view text);
// The name of a service in the form of core/dns/service.h, which is always absolute.
std::optional<DnsName> parse_service_name(std::string_view text);

}  // namespace sni
