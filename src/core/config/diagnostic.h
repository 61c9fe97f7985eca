#pragma once

// Mistakes in a file, each with its position, collected so that one run shows all of them.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace sni {

// Counted from 1; columns in characters (code points), as editors show them.
struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::uint32_t file = 0;  // Of a DiagnosticList's files.
  bool operator==(const Position&) const = default;
  // In the order of the files.
  std::strong_ordering operator<=>(const Position& other) const {
    return std::tie(file, line, column) <=> std::tie(other.file, other.line, other.column);
  }
};

enum class Severity : std::uint8_t { error, warning };

struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;
  Position position;
  std::string message;

  // "config.toml:14:9: unknown key ...".
  std::string located() const;
  // The same with "warning: " before the message of a warning.
  std::string to_string() const;
  bool operator==(const Diagnostic&) const = default;
};

class DiagnosticList {
 public:
  explicit DiagnosticList(std::string_view file) : files_{std::string(file)} {}

  // Returns its number, for positions; the first file is 0.
  std::uint32_t add_file(std::string_view file);
  const std::vector<std::string>& files() const { return files_; }
  // "line 3", or "line 3 of routes.toml" for another file than that of `seen_from`.
  std::string line_of(Position position, Position seen_from) const;

  void error(Position position, std::string message);
  void warning(Position position, std::string message);
  bool has_errors() const { return errors_ != 0; }

  // Sorted by file and position, then by text. Beyond limits::diagnostics_max the last one says how
  // many more there are.
  std::vector<Diagnostic> take();

 private:
  void add(Severity severity, Position position, std::string message);

  std::vector<std::string> files_;
  std::vector<Diagnostic> list_;
  std::size_t errors_ = 0;
  std::size_t dropped_ = 0;
};

// Untrusted text for a message. Everything but printable ASCII is escaped, since messages end up on
// terminals and in logs.
std::string printable(std::string_view text);
// The same in single quotes, and bounded.
std::string in_quotes(std::string_view text);

// "; did you mean 'x'?" for a candidate that is one or two typing errors away from `word` or begins
// with it, else "".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace sni
