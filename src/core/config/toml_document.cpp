#include "core/config/toml_document.h"

// toml++ limits how deep values nest, but not how deep dotted keys do: "a.a.a.(...) = 1" becomes
// one table per dot, and the destructor of such a tree, which recurses, overflows the stack. So we
// count the dots outside strings before parsing.

#include <toml++/toml.h>

#include <algorithm>
#include <type_traits>

#include "core/limits.h"
#include "core/text_lines.h"

namespace sni {
namespace {

// Scans text with quotes and knows where strings and comments end.
class DottedKeyScanner {
 public:
  explicit DottedKeyScanner(std::string_view text) : text_(text) {}

  // The line (from 1) with too many dots outside strings and comments, if there is one.
  std::optional<std::uint32_t> find_deep_line() {
    std::size_t dots = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '\n') {
        ++line_;
        dots = 0;
      }
      if (c == '.' && ++dots > limits::config_key_depth_max) return line_;
      ++at_;
    }
    return std::nullopt;
  }

 private:
  void skip_string(char quote) {
    const std::string fence(3, quote);
    const bool multi_line = text_.substr(at_).starts_with(fence);
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        if (!multi_line) return;  // An unterminated string; the parser will report it.
        ++line_;
      }
      if (c == quote && (!multi_line || text_.substr(at_).starts_with(fence))) {
        at_ += multi_line ? 3 : 1;
        return;
      }
      // An escaped quote does not end the string; an escaped line end is still a line end.
      const bool escape = c == '\\' && quote == '"' && !text_.substr(at_ + 1).starts_with('\n');
      at_ += escape ? 2 : 1;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
};

bool is_number_or_boolean(std::string_view value) {
  if (value == "true" || value == "false") return true;
  if (value.starts_with("0x") || value.starts_with("0o") || value.starts_with("0b")) return true;
  return value.find_first_not_of("0123456789+-_.") == value.npos &&
         std::ranges::count(value, '.') <= 1;
}

// How a value without quotes should be written; "" if quotes are not what it lacks.
std::string quote_hint(std::string_view text, std::uint32_t line_number) {
  for (std::uint32_t line = 1; line < line_number; ++line) take_line(text);
  std::string_view line = take_line(text);
  const std::size_t assign = line.find('=');
  if (assign == line.npos) return {};
  std::string_view key = line.substr(0, assign);
  key = take_word(key);
  line.remove_prefix(assign + 1);
  const std::string_view value = take_word(line);
  const bool is_text = !value.empty() && !is_number_or_boolean(value) && value.front() != '[' &&
                       value.front() != '#';
  // Several words, brackets and commas are other kinds of mistakes.
  const bool alone = take_word(line).substr(0, 1).find_first_not_of('#') == line.npos;
  if (!is_text || !alone || key.empty() || value.find_first_of("\"',{}") != value.npos) return {};
  return "; strings need quotes: " + printable(key) + " = \"" + printable(value) + '"';
}

Position position_of(const toml::source_region& region, std::uint32_t file) {
  // A node without a position, such as a table that only its children name, is at line 0.
  return {.line = std::max<std::uint32_t>(region.begin.line, 1),
          .column = std::max<std::uint32_t>(region.begin.column, 1),
          .file = file};
}

TomlNode convert(const toml::node& source, std::uint32_t file);

TomlTable convert_table(const toml::table& source, std::uint32_t file) {
  TomlTable table;
  table.reserve(source.size());
  for (const auto& [key, node] : source) {
    table.push_back({.key = std::string(key.str()),
                     .position = position_of(key.source(), file),
                     .node = convert(node, file)});
  }
  return table;
}

TomlArray convert_array(const toml::array& source, std::uint32_t file) {
  TomlArray array;
  array.reserve(source.size());
  for (const toml::node& node : source) array.push_back(convert(node, file));
  return array;
}

TomlNode convert(const toml::node& source, std::uint32_t file) {
  TomlNode node{.position = position_of(source.source(), file), .value = TomlOther{"a value"}};
  source.visit([&](const auto& value) {
    using Value = std::remove_cvref_t<decltype(value)>;
    if constexpr (toml::is_table<Value>) {
      node.value = convert_table(value, file);
    } else if constexpr (toml::is_array<Value>) {
      node.value = convert_array(value, file);
    } else if constexpr (toml::is_string<Value> || toml::is_integer<Value> ||
                         toml::is_boolean<Value>) {
      node.value = value.get();
    } else {
      node.value = TomlOther{toml::is_floating_point<Value> ? "a float" : "a date or time"};
    }
  });
  return node;
}

}  // namespace

std::string_view type_name(const TomlNode& node) {
  struct Name {
    std::string_view operator()(bool) const { return "a boolean"; }
    std::string_view operator()(std::int64_t) const { return "an integer"; }
    std::string_view operator()(const std::string&) const { return "a string"; }
    std::string_view operator()(const TomlArray&) const { return "an array"; }
    std::string_view operator()(const TomlTable&) const { return "a table"; }
    std::string_view operator()(const TomlOther& other) const { return other.type; }
  };
  return std::visit(Name{}, node.value);
}

std::optional<TomlTable> parse_toml(std::string_view text, DiagnosticList& diagnostics,
                                    std::uint32_t file) {
  if (text.size() > limits::config_bytes_max) {
    diagnostics.error({.file = file}, "the file is larger than " +
                                          std::to_string(limits::config_bytes_max >> 20) + " MiB");
    return std::nullopt;
  }
  if (const auto line = DottedKeyScanner(text).find_deep_line()) {
    diagnostics.error({.line = *line, .file = file},
                      "more dots outside of strings than any key has; is a quote missing?");
    return std::nullopt;
  }
  try {
    return convert_table(toml::parse(text), file);
  } catch (const toml::parse_error& error) {
    const Position position = position_of(error.source(), file);
    diagnostics.error(position, "syntax error: " + printable(error.description()) +
                                    quote_hint(text, position.line));
    return std::nullopt;
  }
}

}  // namespace sni
