#pragma once

// A TOML file as a tree of plain values, each with its position. The parser's own headers are heavy
// and stay in one .cpp file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config/diagnostic.h"

namespace sni {

struct TomlNode;
struct TomlEntry;
using TomlArray = std::vector<TomlNode>;
using TomlTable = std::vector<TomlEntry>;  // Keys are unique; the parser sees to that.

// A value that no key of ours accepts (a float, a date or a time), by the name of its type.
struct TomlOther {
  std::string_view type;
};

struct TomlNode {
  Position position;
  std::variant<bool, std::int64_t, std::string, TomlArray, TomlTable, TomlOther> value;
};

struct TomlEntry {
  std::string key;
  Position position;  // Of the key.
  TomlNode node;
};

// "a string", "a table", ...: for messages.
std::string_view type_name(const TomlNode& node);

// nullopt: `diagnostics` has the one mistake at which the parser stopped. `file` is the number that
// `diagnostics` has for it.
std::optional<TomlTable> parse_toml(std::string_view text, DiagnosticList& diagnostics,
                                    std::uint32_t file = 0);

}  // namespace sni
