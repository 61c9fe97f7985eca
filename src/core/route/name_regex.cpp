#include "core/route/name_regex.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/limits.h"

namespace sni {
namespace {

constexpr std::size_t submatches = limits::route_regex_groups + 1;  // The whole match comes first.

// The number of a group at `at`; 0: there is none.
int group_at(std::string_view text, std::size_t at) {
  const bool is_group = text[at] == '\\' && at + 1 < text.size() && text[at + 1] >= '1' &&
                        text[at + 1] - '0' <= limits::route_regex_groups;
  return is_group ? text[at + 1] - '0' : 0;
}

bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}

re2::RE2::Options options() {
  re2::RE2::Options options(re2::RE2::Latin1);  // Names are ASCII.
  options.set_log_errors(false);
  options.set_case_sensitive(false);
  options.set_max_mem(limits::route_regex_memory);
  return options;
}

}  // namespace

bool is_name_regex(std::string_view route_name) {
  return route_name.starts_with('/');
}

Result<NameRegex> NameRegex::compile(std::string_view route_name) {
  if (route_name.size() < 2 || !route_name.starts_with('/') || !route_name.ends_with('/')) {
    return fail(" has no '/' at its end, as a regular expression has");
  }
  const std::string_view text = route_name.substr(1, route_name.size() - 2);
  if (text.empty()) return fail(" is an empty regular expression");
  if (text.size() > limits::route_regex_bytes) {
    return fail(" is a regular expression of more than " +
                std::to_string(limits::route_regex_bytes) + " bytes");
  }
  if (!std::ranges::all_of(text, is_printable)) {
    return fail(" has characters that no name has; names are ASCII (\"xn--...\")");
  }
  auto program =
      std::make_shared<const re2::RE2>(re2::StringPiece(text.data(), text.size()), options());
  if (program->ok()) return NameRegex(std::move(program));
  if (program->error_code() == re2::RE2::ErrorPatternTooLarge) {
    return fail(" is a regular expression that would take too much memory");
  }
  return fail(" is not a regular expression of RE2: " + program->error());
}

bool NameRegex::matches(std::string_view name) const {
  return program_->Match(re2::StringPiece(name.data(), name.size()), 0, name.size(),
                         re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

int NameRegex::groups() const {
  return program_->NumberOfCapturingGroups();
}

std::optional<std::string> NameRegex::expand(std::string_view text, std::string_view name) const {
  std::array<re2::StringPiece, submatches> taken;
  const int wanted = std::min(groups(), limits::route_regex_groups) + 1;
  if (!program_->Match(re2::StringPiece(name.data(), name.size()), 0, name.size(),
                       re2::RE2::ANCHOR_BOTH, taken.data(), wanted)) {
    return std::nullopt;
  }
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const int group = group_at(text, at); group != 0) {
      const re2::StringPiece& part = taken[static_cast<std::size_t>(group)];
      result.append(part.data() == nullptr ? "" : part.data(), part.size());
      ++at;
    } else {
      result += text[at];
    }
    if (result.size() > limits::server_name_max) return std::nullopt;
  }
  return result;
}

int groups_in_use(std::string_view text) {
  int greatest = 0;
  for (std::size_t at = 0; at < text.size(); ++at)
    greatest = std::max(greatest, group_at(text, at));
  return greatest;
}

}  // namespace sni
