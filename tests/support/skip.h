#pragma once

// A test that cannot run here says so: `if (geteuid() != 0) return skip("needs root");`. The
// program then ends with a status that CTest shows as skipped (tests/CMakeLists.txt), or as failed
// where the environment variable CI is set: CI has every right that a test may need.

#include <cstdio>
#include <string_view>

namespace sni::test {

inline int skips = 0;

inline void skip(std::string_view reason) {
  ++skips;
  std::fprintf(stderr, "SKIPPED: %.*s\n", static_cast<int>(reason.size()), reason.data());
}

}  // namespace sni::test
