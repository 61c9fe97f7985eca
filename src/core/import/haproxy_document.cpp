#include "core/import/haproxy_document.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text_lines.h"

namespace sni {
namespace {

constexpr std::array<std::string_view, 16> section_kinds{
    "global", "defaults",    "frontend",  "backend", "listen",      "resolvers",
    "peers",  "userlist",    "mailers",   "program", "http-errors", "cache",
    "ring",   "log-forward", "crt-store", "traces"};

// Splits a line by haproxy's rules for quotes and backslashes; comments are left out.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool within = false;  // A word, which may be an empty one in quotes.
  char quote = '\0';
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool blank = c == ' ' || c == '\t' || c == '\r';
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      // Only these are escaped: an expression keeps its "\.".
      const char next = line[++i];
      const bool plain = std::string_view(" #\"'\\").find(next) != std::string_view::npos;
      if (!plain) word += '\\';
      word += next;
      within = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      within = true;
    } else if (c == '#') {
      break;
    } else if (!blank) {
      word += c;
      within = true;
    } else if (within) {
      words.push_back(std::exchange(word, {}));
      within = false;
    }
  }
  if (within) words.push_back(std::move(word));
  return words;
}

}  // namespace

std::vector<HaproxySection> parse_haproxy(std::string_view text) {
  std::vector<HaproxySection> sections;
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    HaproxyLine line{.number = number, .words = words_of(take_line(text))};
    if (line.words.empty()) continue;
    const bool opens = std::ranges::find(section_kinds, line.words[0]) != section_kinds.end();
    if (opens || sections.empty()) {
      sections.push_back({.head = std::move(line), .lines = {}});
    } else {
      sections.back().lines.push_back(std::move(line));
    }
  }
  return sections;
}

}  // namespace sni
