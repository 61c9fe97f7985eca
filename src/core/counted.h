#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sni {

// "1 route", "2 routes", for the log. `plural`: of a noun that does not only take an s.
inline std::string counted(std::uint64_t count, std::string_view noun,
                           std::string_view plural = {}) {
  std::string text = std::to_string(count) + ' ';
  if (count == 1) return text.append(noun);
  return plural.empty() ? text.append(noun) + 's' : text.append(plural);
}

}  // namespace sni
