#pragma once

// Entries of the guard's lists, in the operator's notation.

#include <doctest/doctest.h>

#include <string>

#include "core/guard/guard_entry.h"

namespace sni::test {

inline IpPrefix prefix(const std::string& text) {
  const auto parsed = parse_prefix(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}

inline GuardEntry blocked(const std::string& text, GuardTime until = guard_never_expires) {
  return {.prefix = prefix(text), .term = {.block_until = until}};
}

inline GuardEntry allowed(const std::string& text, GuardTime until = guard_never_expires) {
  return {.prefix = prefix(text), .term = {.allow_until = until}};
}

}  // namespace sni::test
