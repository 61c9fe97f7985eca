#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sni {

// "1 route", "2 routes", for the log. Only for nouns that take an s.
inline std::string counted(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace sni
