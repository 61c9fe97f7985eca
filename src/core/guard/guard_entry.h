#pragma once

// The guard's knowledge of addresses, as plain values shared by its parts.
//
// IPv4 and IPv6 never mix here, although both are in one 128-bit space. As in every other filter,
// "::/0" does not cover IPv4 clients.

#include <algorithm>
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>

#include "core/address/address.h"

namespace sni {

// Seconds of CLOCK_BOOTTIME, which goes on while the host sleeps. Something is live while
// now < until; 0 is never live.
using GuardTime = std::uint32_t;
inline constexpr GuardTime guard_never_expires = std::numeric_limits<GuardTime>::max();

// Until when addresses are allowed and blocked; allow wins.
struct GuardTerm {
  GuardTime allow_until = 0;
  GuardTime block_until = 0;

  bool is_allowed(GuardTime now) const { return now < allow_until; }
  bool is_blocked(GuardTime now) const { return !is_allowed(now) && now < block_until; }
  auto operator<=>(const GuardTerm&) const = default;
};

// Where both apply, each verdict lasts for the longer of the two.
inline GuardTerm united(const GuardTerm& a, const GuardTerm& b) {
  return {.allow_until = std::max(a.allow_until, b.allow_until),
          .block_until = std::max(a.block_until, b.block_until)};
}

struct GuardEntry {
  IpPrefix prefix;
  GuardTerm term;
  auto operator<=>(const GuardEntry&) const = default;
};

// One step from one installed set to another; nullopt: the entry is removed.
struct GuardChange {
  IpPrefix prefix;
  std::optional<GuardTerm> term;
};

// 192.0.2.0/24 has length 120 (core/address/address.h), so a shorter one is IPv6 whatever its base.
inline bool is_v4_prefix(const IpPrefix& prefix) {
  return prefix.length >= 96 && prefix.base.is_v4();
}

inline bool is_single_address(const IpPrefix& prefix) {
  return prefix.length == 128;
}

// contains() with separate families.
inline bool covers(const IpPrefix& prefix, const IpAddress& address) {
  return is_v4_prefix(prefix) == address.is_v4() && prefix.contains(address);
}

inline bool covers(const IpPrefix& outer, const IpPrefix& inner) {
  return outer.length <= inner.length && is_v4_prefix(outer) == is_v4_prefix(inner) &&
         outer.contains(inner.base);
}

}  // namespace sni
