#pragma once

// Mistakes in a file, each with its place, collected so that one run shows all of them.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sni {

// Counted from 1; columns in characters (code points), as editors show them.
struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  auto operator<=>(const Position&) const = default;
};

enum class Severity : std::uint8_t { error, warning };

struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;
  Position position;
  std::string message;

  // "config.toml:14:9: unknown key ...", with "warning: " before the message of a warning.
  std::string to_string() const;
  bool operator==(const Diagnostic&) const = default;
};

class DiagnosticList {
 public:
  explicit DiagnosticList(std::string_view file) : file_(file) {}

  void error(Position position, std::string message);
  void warning(Position position, std::string message);
  bool has_errors() const { return errors_ != 0; }

  // In the order of the file, those of one place by their text. Beyond limits::diagnostics_max the
  // last one says how many more.
  std::vector<Diagnostic> take();

 private:
  void add(Severity severity, Position position, std::string message);

  std::string file_;
  std::vector<Diagnostic> list_;
  std::size_t errors_ = 0;
  std::size_t dropped_ = 0;
};

// Text from outside for a message: everything but printable ASCII is escaped, since it ends up on
// terminals and in logs.
std::string printable(std::string_view text);
// The same in single quotes, and bounded.
std::string quoted(std::string_view text);

// "; did you mean 'x'?" for the candidate that is only a slip or two away from `word`, or that it is
// the beginning of, else "".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace sni
