#pragma once

// An entry of [access] block and allow, and of a block file: an address or prefix, and when it
// ends: "192.0.2.7", "2001:db8::/32 until 2026-12-01T00:00:00Z".

#include <chrono>
#include <optional>
#include <string_view>

#include "core/address/address.h"
#include "core/error.h"

namespace sni {

struct AccessEntry {
  IpPrefix prefix;
  std::optional<std::chrono::sys_seconds> until;  // nullopt: it does not end.
  bool operator==(const AccessEntry&) const = default;
};

Result<AccessEntry> parse_access_entry(std::string_view text);

// RFC 3339 in UTC, to the second: "2026-12-01T00:00:00Z".
std::optional<std::chrono::sys_seconds> parse_utc_time(std::string_view text);

}  // namespace sni
