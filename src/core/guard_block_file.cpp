#include "core/guard_block_file.h"

#include <charconv>

#include "core/limits.h"

namespace sni {
namespace {

constexpr std::string_view blanks = " \t\r";

// The next word of `line` from `position` on; empty at the end.
std::string_view next_word(std::string_view line, std::size_t& position) {
  const std::size_t start = line.find_first_not_of(blanks, position);
  if (start == std::string_view::npos) {
    position = line.size();
    return {};
  }
  const std::size_t end = std::min(line.find_first_of(blanks, start), line.size());
  position = end;
  return line.substr(start, end - start);
}

// `count` digits at the front of `text`, taken off it.
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

class Parser {
 public:
  BlockFile parse(std::string_view text) {
    while (!text.empty() && file_.mistakes.size() < limits::block_file_mistakes_max) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      ++line_number_;
      parse_line(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return std::move(file_);
  }

 private:
  void parse_line(std::string_view line) {
    line = line.substr(0, line.find_first_of("#;"));
    std::size_t position = 0;
    const std::string_view address = next_word(line, position);
    if (address.empty()) return;
    const std::optional<IpPrefix> prefix = parse_prefix(address);
    if (!prefix) {
      mistake(line, address, "is neither an address nor a prefix without host bits");
      return;
    }
    BlockFileEntry entry{.prefix = *prefix, .until = std::nullopt};
    const std::string_view keyword = next_word(line, position);
    if (!keyword.empty() && !parse_until(line, keyword, position, entry)) return;
    if (file_.entries.size() == limits::block_file_entries_max) {
      mistake(line, address, "is one entry too many for a block file");
      return;
    }
    file_.entries.push_back(entry);
  }

  bool parse_until(std::string_view line, std::string_view keyword, std::size_t position,
                   BlockFileEntry& entry) {
    if (keyword != "until") {
      mistake(line, keyword, "is not expected here; write 'until TIME' or '# comment'");
      return false;
    }
    const std::string_view time = next_word(line, position);
    entry.until = parse_utc_time(time);
    if (!entry.until) {
      mistake(line, time.empty() ? keyword : time, "is not a time like 2026-12-01T00:00:00Z");
      return false;
    }
    const std::string_view rest = next_word(line, position);
    if (!rest.empty()) mistake(line, rest, "is not expected behind the time");
    return rest.empty();
  }

  void mistake(std::string_view line, std::string_view word, std::string_view what) {
    // A binary file given by mistake must not fill the terminal.
    std::string message = "'";
    for (const char c : word.substr(0, limits::block_file_quote_max)) {
      message += c > ' ' && c <= '~' ? c : '?';
    }
    message += "' ";
    message += what;
    file_.mistakes.push_back({.line = line_number_,
                              .column = static_cast<std::size_t>(word.data() - line.data()) + 1,
                              .message = std::move(message)});
  }

  BlockFile file_;
  std::size_t line_number_ = 0;
};

}  // namespace

BlockFile parse_block_file(std::string_view text) {
  return Parser{}.parse(text);
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
