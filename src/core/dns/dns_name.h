#pragma once

// A host name as it is looked up, cached and asked: in the form of core/hello/server_name.h, which
// refuses whatever is not plainly a host name, with a mark where it is absolute.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dns/service.h"
#include "core/limits.h"

namespace sni {

struct DnsName {
  std::array<char, limits::server_name_max + 1> bytes;  // Lower case, and room for a last dot.
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

// A last dot makes it absolute. Never empty. nullopt: not a host name; IP addresses are none
// either.
std::optional<DnsName> parse_dns_name(std::string_view text);
// Of a service in the form of core/dns/service.h, which is always absolute.
std::optional<DnsName> parse_service_name(std::string_view text);

}  // namespace sni
