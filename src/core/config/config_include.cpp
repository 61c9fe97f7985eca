#include "core/config/config_include.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "core/config/config_forms.h"
#include "core/limits.h"

namespace sni {
namespace {

constexpr std::string_view include_key = "include";

class Includer {
 public:
  Includer(TomlTable& root, std::size_t bytes, const IncludeFiles& files,
           DiagnosticList& diagnostics)
      : root_(root),
        bytes_left_(limits::config_bytes_max - std::min(bytes, limits::config_bytes_max)),
        files_(files),
        diagnostics_(diagnostics) {}

  bool run() {
    const std::vector<Located<std::string>> wanted = patterns();
    if (wanted.size() > limits::include_patterns_max) {
      mistake(wanted.back().position,
              "more than " + std::to_string(limits::include_patterns_max) + " patterns");
      return false;
    }
    for (const Located<std::string>& pattern : wanted) {
      if (!take_pattern(pattern)) return false;
    }
    return complete_;
  }

 private:
  std::vector<Located<std::string>> patterns() const;
  bool take_pattern(const Located<std::string>& pattern);
  bool take_once(const std::string& path, Position asked_at);
  void take_file(const std::string& path, Position asked_at);
  void join(TomlTable table);
  void join_entry(TomlEntry entry);

  void mistake(Position position, const std::string& what) {
    diagnostics_.error(position, in_quotes(include_key) + " at the top level: " + what);
    complete_ = false;
  }

  TomlTable& root_;
  std::size_t bytes_left_;
  const IncludeFiles& files_;
  DiagnosticList& diagnostics_;
  std::set<std::string> taken_;  // A file that matches two patterns is read once.
  bool complete_ = true;
};

// The valid ones; the others are reported when the key is read.
std::vector<Located<std::string>> Includer::patterns() const {
  std::vector<Located<std::string>> found;
  const auto add = [&found](const TomlNode& node) {
    const auto* text = std::get_if<std::string>(&node.value);
    if (text == nullptr || !forms::include_pattern(*text)) return;
    found.push_back({.value = *text, .position = node.position});
  };
  const auto entry = std::ranges::find(root_, include_key, &TomlEntry::key);
  if (entry == root_.end()) return found;
  add(entry->node);
  if (const auto* items = std::get_if<TomlArray>(&entry->node.value)) {
    std::ranges::for_each(*items, add);
  }
  return found;
}

// False: stop reading.
bool Includer::take_pattern(const Located<std::string>& pattern) {
  if (!files_.list) {
    mistake(pattern.position, "no file can be included here");
    return false;
  }
  const auto paths = files_.list(pattern.value);
  if (!paths) {
    mistake(pattern.position, paths.error().what);
    return true;
  }
  return std::ranges::all_of(
      *paths, [&](const std::string& path) { return take_once(path, pattern.position); });
}

// False: stop reading.
bool Includer::take_once(const std::string& path, Position asked_at) {
  if (!taken_.insert(path).second) return true;
  if (taken_.size() > limits::include_files_max) {
    mistake(asked_at,
            "more than " + std::to_string(limits::include_files_max) + " files are included");
    return false;
  }
  take_file(path, asked_at);
  return true;
}

void Includer::take_file(const std::string& path, Position asked_at) {
  const auto text = files_.read(path, bytes_left_);
  if (!text) return mistake(asked_at, text.error().what);
  bytes_left_ -= std::min(text->size(), bytes_left_);
  auto table = parse_toml(*text, diagnostics_, diagnostics_.add_file(path));
  if (!table) {
    complete_ = false;
    return;
  }
  join(*std::move(table));
}

void Includer::join(TomlTable table) {
  // The parser gives keys in alphabetical order.
  std::ranges::sort(table, {}, &TomlEntry::position);
  for (TomlEntry& entry : table) join_entry(std::move(entry));
}

void Includer::join_entry(TomlEntry entry) {
  if (entry.key == include_key) {
    return mistake(entry.position, "a file that is included cannot include others");
  }
  const auto there = std::ranges::find(root_, entry.key, &TomlEntry::key);
  if (there == root_.end()) {
    root_.push_back(std::move(entry));
    return;
  }
  auto* array = std::get_if<TomlArray>(&there->node.value);
  auto* more = std::get_if<TomlArray>(&entry.node.value);
  if (array != nullptr && more != nullptr) {
    std::ranges::move(*more, std::back_inserter(*array));
    return;
  }
  diagnostics_.error(entry.position, in_quotes(entry.key) + " is already in " +
                                         diagnostics_.line_of(there->position, entry.position) +
                                         "; one file has all of it");
}

}  // namespace

bool take_includes(TomlTable& root, std::size_t bytes, const IncludeFiles& files,
                   DiagnosticList& diagnostics) {
  return Includer(root, bytes, files, diagnostics).run();
}

}  // namespace sni
