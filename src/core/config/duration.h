#pragma once

// Durations and sizes in the configuration and on the command line: one whole number and one unit,
// "250ms", "5s", "10m", "1h", "64MiB". A bare number is not a duration, since its unit would be a
// guess; as a size it means bytes.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sni {

// Units ms, s, m, h, d.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// What a text that is no duration was meant to be: "10min", "5 seconds".
std::optional<std::chrono::milliseconds> guess_duration(std::string_view text);
// In the largest unit that is exact: 90000 ms is "90s".
std::string format_duration(std::chrono::milliseconds duration);

// Bytes, with units B, KiB, MiB, GiB, TiB in either case. "iB" or "i" may be left out: all units
// are powers of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);

}  // namespace sni
