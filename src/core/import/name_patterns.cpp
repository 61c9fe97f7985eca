#include "core/import/name_patterns.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/ascii.h"
#include "core/config/config_forms.h"

namespace sni {
namespace {

using Names = std::vector<std::string>;

// Bytes of an expression, and steps of its expansion, each of which adds alternatives.
constexpr std::size_t regex_bytes = 1024;
constexpr std::size_t regex_steps = 256;

// Checks names and converts them to the form of RouteConfig::names; empty if one of them is not a
// name.
Names checked(const Names& names) {
  Names good;
  for (const std::string& name : names) {
    auto form = forms::route_name(name);
    if (!form || *form == "-") return {};
    good.push_back(*std::move(form));
  }
  return good;
}

bool take(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.remove_prefix(start.size());
  return true;
}

// Takes a pattern for arbitrary labels off the front of an expression.
bool take_anything(std::string_view& text) {
  constexpr std::array<std::string_view, 6> kinds{".*",    ".+",      "[^.]*",
                                                  "[^.]+", "[^\\.]*", "[^\\.]+"};
  for (const std::string_view kind : kinds) {
    if (!take(text, kind)) continue;
    take(text, "?");  // Whether it is greedy makes no difference.
    return true;
  }
  return false;
}

// Literal characters; a dot for any character is read as a literal dot.
std::optional<std::string> literal(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    take(text, "\\");
    const char c = text.empty() ? '\0' : text.front();
    if (!is_letter(c) && !is_digit(c) && c != '.' && c != '-' && c != '_') return std::nullopt;
    name += c;
    text.remove_prefix(1);
    // "colou?r", "a*": what follows a character repeats it.
    if (text.starts_with('?') || text.starts_with('*') || text.starts_with('+'))
      return std::nullopt;
  }
  return name;
}

// An expression without groups and alternatives.
Names simple_names(std::string_view regex) {
  const bool anchored = take(regex, "^");
  if (regex.ends_with('$') && !regex.ends_with("\\$")) {
    regex.remove_suffix(1);
    if (regex.ends_with("\\.?")) regex.remove_suffix(3);  // The dot of an absolute name.
  }
  const bool begins_with_anything = take_anything(regex);
  if (regex.empty()) return begins_with_anything || !anchored ? Names{"*"} : Names{};
  const bool dot = take(regex, "\\.") || (begins_with_anything && take(regex, "."));
  if (dot && anchored && !begins_with_anything) return {};
  const auto name = literal(regex);
  if (!name) return {};
  if (dot) return checked({"*." + *name});
  if (anchored && !begins_with_anything) return checked({*name});
  return checked({*name, "*." + *name});
}

// The end of the group or class that begins at `at`: the position after its last character.
std::size_t end_of_class(std::string_view regex, std::size_t at) {
  const std::size_t end = regex.find(']', at + 2);
  return end == regex.npos ? regex.size() : end + 1;
}

// The position of `wanted` outside classes and groups that begin after `at`; npos: none.
std::size_t find_plain(std::string_view regex, char wanted, std::size_t at) {
  std::size_t depth = 0;
  while (at < regex.size()) {
    const char c = regex[at];
    if (c == wanted && depth == 0) return at;
    if (c == '[') {
      at = end_of_class(regex, at);
      continue;
    }
    if (c == '(') ++depth;
    if (c == ')' && depth > 0) --depth;
    at += c == '\\' ? 2 : 1;
  }
  return std::string_view::npos;
}

// Expands one group or the alternatives of an expression; nullopt: not possible.
std::optional<std::vector<std::string>> expand(std::string_view regex) {
  if (const std::size_t bar = find_plain(regex, '|', 0); bar != regex.npos) {
    return std::vector{std::string(regex.substr(0, bar)), std::string(regex.substr(bar + 1))};
  }
  const std::size_t open = find_plain(regex, '(', 0);
  const std::size_t close = open == regex.npos ? regex.npos : find_plain(regex, ')', open + 1);
  if (close == regex.npos) return std::nullopt;
  std::string_view inner = regex.substr(open + 1, close - open - 1);
  if (!take(inner, "?:") && inner.starts_with('?')) return std::nullopt;  // Assertions.
  std::string_view rest = regex.substr(close + 1);
  const bool optional = take(rest, "?");
  if (rest.starts_with('*') || rest.starts_with('+') || rest.starts_with('{')) return std::nullopt;
  const std::string before(regex.substr(0, open));
  std::vector<std::string> all;
  if (optional) all.push_back(before + std::string(rest));
  while (true) {
    const std::size_t bar = find_plain(inner, '|', 0);
    all.push_back(before + std::string(inner.substr(0, bar)) + std::string(rest));
    if (bar == inner.npos) return all;
    inner.remove_prefix(bar + 1);
  }
}

void add(Names& names, const Names& more) {
  for (const std::string& name : more) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
}

// The expression anchored, so that the whole name must match it.
std::string whole_name_regex(std::string_view regex) {
  if (find_plain(regex, '|', 0) != regex.npos) return "/.*(?:" + std::string(regex) + ").*/";
  if (regex.ends_with('\\') && !regex.ends_with("\\\\")) return {};  // It escapes nothing.
  const bool open_end = !regex.ends_with('$') || regex.ends_with("\\$");
  return (regex.starts_with('^') ? "/" : "/.*") + std::string(regex) + (open_end ? ".*/" : "/");
}

// Empty: it matches no list of names, or too long a list.
Names listed_names(std::string_view regex) {
  if (regex.size() > regex_bytes) return {};
  Names names;
  std::vector<std::string> open{std::string(regex)};
  for (std::size_t step = 0; !open.empty(); ++step) {
    if (step + open.size() > regex_steps) return {};
    const std::string next = std::move(open.back());
    open.pop_back();
    const bool plain =
        find_plain(next, '|', 0) == next.npos && find_plain(next, '(', 0) == next.npos;
    if (plain) {
      const Names found = simple_names(next);
      if (found.empty()) return {};
      add(names, found);
      continue;
    }
    auto parts = expand(next);
    if (!parts) return {};
    // In the order of the expression.
    open.insert(open.end(), parts->rbegin(), parts->rend());
  }
  return names;
}

}  // namespace

Names names_of_regex(std::string_view regex) {
  take(regex, "(?i)");  // Names are case-insensitive.
  if (Names names = listed_names(regex); !names.empty()) return names;
  return checked({whole_name_regex(regex)});
}

Names names_of_suffix(std::string_view suffix) {
  if (take(suffix, ".")) return checked({"*." + std::string(suffix)});
  return checked({std::string(suffix), "*." + std::string(suffix)});
}

Names names_of_host(std::string_view host) {
  if (host.starts_with('.')) return names_of_suffix(host.substr(1));
  return checked({std::string(host)});
}

}  // namespace sni
