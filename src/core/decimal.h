#pragma once

// Whole numbers in ports, prefix lengths and durations: digits only, no sign, no space, and no
// leading zero, which other tools would read as octal.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sni {

// nullopt: not such a number, or greater than `max`.
inline std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  // from_chars accepts no sign for unsigned types and reports overflow.
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value > max) return std::nullopt;
  return value;
}

}  // namespace sni
