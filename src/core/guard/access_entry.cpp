#include "core/guard/access_entry.h"

#include <string>

#include "core/config/config_forms.h"
#include "core/config/diagnostic.h"
#include "core/text_lines.h"

namespace sni {
namespace {

// Takes `count` digits off the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take_char(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<AccessEntry> parse_access_entry(std::string_view text) {
  const auto prefix = forms::prefix(take_word(text));
  if (!prefix) return std::unexpected(prefix.error());
  AccessEntry entry{.prefix = *prefix, .until = std::nullopt};
  const std::string_view keyword = take_word(text);
  if (keyword.empty()) return entry;
  if (keyword != "until") return fail(in_quotes(keyword) + " is not expected behind the address");
  const std::string_view time = take_word(text);
  entry.until = parse_utc_time(time);
  if (!entry.until) return fail(in_quotes(time) + " is not a time, as in \"2026-12-01T00:00:00Z\"");
  const std::string_view rest = take_word(text);
  if (!rest.empty()) return fail(in_quotes(rest) + " is not expected behind the time");
  return entry;
}

std::optional<std::chrono::sys_seconds> parse_utc_time(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take_char(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take_char(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || !take_char(text, 'T')) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take_char(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59 || !take_char(text, ':')) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second || *second > 59 || !take_char(text, 'Z') || !text.empty()) return std::nullopt;

  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

}  // namespace sni
