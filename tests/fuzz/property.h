#pragma once

// Assertions of a fuzz target. A violated property ends the run, like a crash.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/hello/server_name.h"

namespace sni::test {

inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property does not hold: %s\n", property);
  std::abort();
}

// Routes and logs rely on this: a canonical name stays the same.
inline void require_canonical(std::string_view name) {
  if (name.empty()) return;
  std::array<char, limits::server_name_max> out;
  const auto length = canonical_server_name(name, out);
  require(length && std::string_view(out.data(), *length) == name, "a name is canonical");
}

}  // namespace sni::test
