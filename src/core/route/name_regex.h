#pragma once

// A name of a route that is a regular expression, "/^app-(\d+)\.example\.com$/": the whole of a server
// name must match it, in either case. RE2 matches in time linear in the name, whatever is written;
// what it may take for one expression and for the automata that it builds while it matches is bounded
// (limits::route_regex_memory). Without groups in use it copies nothing of the name.

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
  // Errors read on after the expression: " has no '/' at its end".
  static Result<NameRegex> compile(std::string_view route_name);

  // Any thread may ask. `name` is a host name in lower case.
  bool matches(std::string_view name) const;
  // The groups that it has.
  int groups() const;
  // `text` with what the groups took of the name in place of "\1" to "\9", nothing for a group that
  // took no part. nullopt: the name does not match, or the result is longer than a name can be.
  std::optional<std::string> expand(std::string_view text, std::string_view name) const;

 private:
  explicit NameRegex(std::shared_ptr<const re2::RE2> program) : program_(std::move(program)) {}

  std::shared_ptr<const re2::RE2> program_;
};

// The greatest N for which "\N" stands in the text; 0: none.
int groups_in_use(std::string_view text);

}  // namespace sni
