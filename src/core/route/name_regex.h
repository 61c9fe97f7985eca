#pragma once

// A name of a route that is a regular expression, "/^app-(\d+)\.example\.com$/": a whole server
// name must match it, regardless of case. RE2 matches any expression in time linear in the name.
// Its memory for one expression, including the automata that it builds while matching, is bounded
// (limits::route_regex_memory). If no groups are used, the name is not copied.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace re2 {
class RE2;
}

namespace sni {

// Whether a name of a route has this form.
bool is_name_regex(std::string_view route_name);

class NameRegex {
 public:
  // Errors continue a sentence after the expression: " has no '/' at its end".
  static Result<NameRegex> compile(std::string_view route_name);

  // Thread-safe. `name` is a host name in lower case.
  bool matches(std::string_view name) const;
  // The number of its groups.
  int groups() const;
  // `text` with "\1" to "\9" replaced by the groups' matches; a group that took no part is empty.
  // nullopt: the name does not match, or the result is too long for a name.
  std::optional<std::string> expand(std::string_view text, std::string_view name) const;

 private:
  explicit NameRegex(std::shared_ptr<const re2::RE2> program) : program_(std::move(program)) {}

  std::shared_ptr<const re2::RE2> program_;
};

// The greatest N for which "\N" is in the text; 0: none.
int groups_in_use(std::string_view text);

}  // namespace sni
