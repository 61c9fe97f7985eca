#include "core/config/duration.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <span>

#include "core/ascii.h"

#include "core/decimal.h"

namespace sni {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// The lists for printing are ascending and begin with factor 1.
constexpr Unit duration_units[] = {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};
constexpr Unit days[] = {{"d", 86'400'000}};
constexpr Unit duration_words[] = {
    {"ms", 1},         {"msec", 1},         {"s", 1'000},        {"sec", 1'000},
    {"secs", 1'000},   {"second", 1'000},   {"seconds", 1'000},  {"m", 60'000},
    {"min", 60'000},   {"mins", 60'000},    {"minute", 60'000},  {"minutes", 60'000},
    {"h", 3'600'000},  {"hr", 3'600'000},   {"hour", 3'600'000}, {"hours", 3'600'000},
    {"d", 86'400'000}, {"day", 86'400'000}, {"days", 86'400'000}};
constexpr Unit size_units[] = {
    {"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}};
// Units as people write them, each a power of 1024 as in nginx, HAProxy and systemd.
constexpr Unit size_words[] = {{"", 1},
                               {"b", 1},
                               {"k", 1ull << 10},
                               {"kb", 1ull << 10},
                               {"kib", 1ull << 10},
                               {"m", 1ull << 20},
                               {"mb", 1ull << 20},
                               {"mib", 1ull << 20},
                               {"g", 1ull << 30},
                               {"gb", 1ull << 30},
                               {"gib", 1ull << 30},
                               {"t", 1ull << 40},
                               {"tb", 1ull << 40},
                               {"tib", 1ull << 40}};

constexpr std::uint64_t value_max = std::numeric_limits<std::int64_t>::max();

using Equal = bool (*)(std::string_view, std::string_view);

constexpr bool same(std::string_view a, std::string_view b) {
  return a == b;
}

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units,
                                   Equal equal) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  for (const Unit& unit : units) {
    if (!equal(text.substr(digits), unit.name)) continue;
    const auto count = parse_decimal(text.substr(0, digits), value_max / unit.factor);
    if (!count) return std::nullopt;
    return *count * unit.factor;
  }
  return std::nullopt;
}

std::string format(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) best = &unit;
  }
  return std::to_string(value / best->factor) + std::string(best->name);
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  auto value = parse(text, duration_units, same);
  if (!value) value = parse(text, days, same);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(*value));
}

std::optional<std::chrono::milliseconds> guess_duration(std::string_view text) {
  std::string words(text);
  std::erase(words, ' ');
  const auto value = parse(words, duration_words, equal_ignoring_case);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(*value));
}

std::string format_duration(std::chrono::milliseconds duration) {
  assert(duration.count() >= 0);
  return format(static_cast<std::uint64_t>(duration.count()), duration_units);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  // Tools print "256 MiB".
  const std::size_t space = text.find(' ');
  if (space == text.npos) return parse(text, size_words, equal_ignoring_case);
  if (space + 1 == text.size() || !is_letter(text[space + 1])) return std::nullopt;
  return parse(std::string(text).erase(space, 1), size_words, equal_ignoring_case);
}

std::string format_size(std::uint64_t bytes) {
  return format(bytes, size_units);
}

}  // namespace sni
