#include "core/quantity.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "core/config/duration.h"

namespace sni {

std::string short_bytes(std::uint64_t bytes) {
  constexpr std::string_view units = " KMGTPE";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); ++unit) value /= 1024;
  if (unit == 0) return std::to_string(bytes);
  std::array<char, 32> out;
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  std::snprintf(out.data(), out.size(), "%.*f%c", decimals, value, units[unit]);
  return out.data();
}

std::string short_span(std::uint64_t ms) {
  return format_duration(std::chrono::milliseconds(ms < 10'000 ? ms : ms / 1000 * 1000));
}

}  // namespace sni
