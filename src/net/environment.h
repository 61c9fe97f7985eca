#pragma once

#include <cstdlib>
#include <string_view>

namespace sni {

// A variable of the environment; empty where it is not set.
inline std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets one.
  return value == nullptr ? std::string_view() : value;
}

}  // namespace sni
