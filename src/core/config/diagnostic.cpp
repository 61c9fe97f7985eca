#include "core/config/diagnostic.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <tuple>
#include <utility>

#include "core/ascii.h"
#include "core/limits.h"

namespace sni {
namespace {

constexpr std::size_t quoted_max = 80;    // Bytes of input in one message.
constexpr std::size_t shortened_min = 3;  // Least letters of an abbreviated word.
constexpr std::size_t suggest_max = 64;   // Longer words are not typing errors.

// Optimal string alignment distance: insertions, deletions, replacements, and swapped neighbours, a
// common typing error ("listenre").
std::size_t edit_distance(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, suggest_max + 1>;
  Row before_last{};
  Row last{};
  Row row{};
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

std::string suggestion(std::string_view word) {
  return "; did you mean " + in_quotes(word) + "?";
}

std::string place_of(const Diagnostic& diagnostic) {
  return diagnostic.file + ':' + std::to_string(diagnostic.position.line) + ':' +
         std::to_string(diagnostic.position.column) + ": ";
}

}  // namespace

std::string Diagnostic::located() const {
  return place_of(*this) + message;
}

std::string Diagnostic::to_string() const {
  return place_of(*this) + (severity == Severity::warning ? "warning: " : "") + message;
}

std::uint32_t DiagnosticList::add_file(std::string_view file) {
  files_.emplace_back(file);
  return static_cast<std::uint32_t>(files_.size() - 1);
}

std::string DiagnosticList::line_of(Position position, Position seen_from) const {
  const std::string line = "line " + std::to_string(position.line);
  return position.file == seen_from.file ? line : line + " of " + files_[position.file];
}

void DiagnosticList::error(Position position, std::string message) {
  ++errors_;
  add(Severity::error, position, std::move(message));
}

void DiagnosticList::warning(Position position, std::string message) {
  add(Severity::warning, position, std::move(message));
}

void DiagnosticList::add(Severity severity, Position position, std::string message) {
  if (list_.size() == limits::diagnostics_max) {
    ++dropped_;
    return;
  }
  list_.push_back({.severity = severity,
                   .file = files_[position.file],
                   .position = position,
                   .message = std::move(message)});
}

std::vector<Diagnostic> DiagnosticList::take() {
  std::ranges::sort(list_, {}, [](const Diagnostic& diagnostic) {
    return std::tie(diagnostic.position, diagnostic.message);
  });
  if (dropped_ != 0) {
    list_.push_back({.severity = errors_ != 0 ? Severity::error : Severity::warning,
                     .file = list_.back().file,
                     .position = list_.back().position,
                     .message = std::to_string(dropped_) +
                                (dropped_ == 1 ? " more is not shown" : " more are not shown")});
  }
  errors_ = 0;
  dropped_ = 0;
  return std::exchange(list_, {});
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c >= 0x20 && c < 0x7f) {
      result += c;
      continue;
    }
    std::array<char, 5> escape{};
    std::snprintf(escape.data(), escape.size(), "\\x%02x", static_cast<unsigned char>(c));
    result += escape.data();
  }
  return result;
}

std::string in_quotes(std::string_view text) {
  const std::string shown = '\'' + printable(text.substr(0, quoted_max));
  return shown + (text.size() > quoted_max ? "...'" : "'");
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > suggest_max) return {};
  for (const std::string_view candidate : candidates) {
    // "JSON", and abbreviations such as "warn".
    const bool begins = word.size() >= shortened_min && candidate.size() > word.size() &&
                        equal_ignoring_case(candidate.substr(0, word.size()), word);
    if (begins || equal_ignoring_case(candidate, word)) return suggestion(candidate);
  }
  std::string_view best;
  // A third of the letters may be wrong; more would suggest unrelated words.
  std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > suggest_max) continue;
    // The distance is at least the difference in length.
    if (std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size()) >=
        best_distance) {
      continue;
    }
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best.empty() ? std::string{} : suggestion(best);
}

}  // namespace sni
