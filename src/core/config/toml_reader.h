#pragma once

// Reads typed values out of the tables of a TOML file. Reading a key makes it known, so one line of
// code per key is enough: its name, where the value goes and which values are valid. A wrong value
// is reported and the target keeps its default, so that reading goes on and finds the next mistake.
// Keys that were not read are reported when their table is done.
//
// A Form<T> defines the syntax of a string: it takes the text and returns a T, or an Error that
// continues the key's name and a colon ("'10x' is not a duration; ...").

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/toml_document.h"
#include "core/error.h"

namespace sni {

template <typename T>
using Form = std::function<Result<T>(std::string_view)>;

template <typename T>
struct Located {
  T value;
  Position position;
};

class TableReader {
 public:
  // `keys`, where given, collects the full name of each key that is read.
  TableReader(const TomlTable& root, DiagnosticList& diagnostics,
              std::vector<std::string>* keys = nullptr)
      : table_(&root), diagnostics_(&diagnostics), keys_(keys) {}

  Position position() const { return position_; }

  void read(std::string_view key, bool& out);
  template <std::unsigned_integral T>
  void read(std::string_view key, T& out, std::uint64_t min, std::uint64_t max) {
    if (const auto value = integer(key, min, max)) out = static_cast<T>(*value);
  }
  // The position of a value that was present and valid.
  template <typename T>
  std::optional<Position> read(std::string_view key, T& out, const Form<T>& form) {
    const TomlNode* node = find(key);
    if (node == nullptr) return std::nullopt;
    std::optional<T> value = convert_scalar(key, *node, form);
    if (!value) return std::nullopt;
    out = *std::move(value);
    return node->position;
  }
  // A size may also be a bare number of bytes.
  void read_size(std::string_view key, std::uint64_t& out, const Form<std::uint64_t>& form);
  template <typename T>
  std::vector<Located<T>> read_list(std::string_view key, const Form<T>& form);
  // A single string counts as a list of one.
  template <typename T>
  std::vector<Located<T>> read_one_or_list(std::string_view key, const Form<T>& form);

  // A string, a table, or an array of either; `read` turns a table into a value, if it can.
  template <typename T>
  std::vector<Located<T>> read_strings_or_tables(
      std::string_view key, const Form<T>& form,
      const std::function<std::optional<T>(TableReader&)>& read);

  bool has(std::string_view key) const { return peek(key) != nullptr; }
  // Reports `key` as missing unless it is present.
  void require(std::string_view key);
  // Reports the array at `key` if it is present and empty.
  void reject_empty(std::string_view key);
  // The position of the value, or of the table where the key is absent.
  Position position_of(std::string_view key) const;

  // [key]: `read` sees an empty table where the key is absent.
  void read_table(std::string_view key, const std::function<void(TableReader&)>& read);
  // [[key]]: `read` sees each table in turn.
  void read_tables(std::string_view key, const std::function<void(TableReader&)>& read);
  // Reports every key that was not read. read_table and read_tables do so for their tables.
  void reject_unknown();

 private:
  enum class Written : std::uint8_t { table, array_of_tables, value };  // [a], [[a]], a = { }
  TableReader(const TableReader& parent, const TomlTable& table, Position position,
              std::string_view key, Written written);

  // "[route.access]" where this is "[[route]]".
  std::string label_of_child(std::string_view key, Written written) const;
  static std::string label_of(std::string_view key, Written written);
  const TomlNode* peek(std::string_view key) const;
  const TomlNode* find(std::string_view key);
  std::optional<std::uint64_t> integer(std::string_view key, std::uint64_t min, std::uint64_t max);
  const std::string* text(std::string_view key, const TomlNode& node);
  const TomlArray* array(std::string_view key, const TomlNode& node);
  void wrong_type(std::string_view key, const TomlNode& node, std::string_view expected);
  void mistake(std::string_view key, Position position, std::string_view what);
  void read_one(std::string_view key, const TomlTable& table, Position position, Written written,
                const std::function<void(TableReader&)>& read);
  std::string place() const;

  template <typename T>
  std::optional<T> convert(std::string_view key, const TomlNode& node, const Form<T>& form) {
    const std::string* string = text(key, node);
    if (string == nullptr) return std::nullopt;
    Result<T> value = form(*string);
    if (value) return *std::move(value);
    mistake(key, node.position, ": " + value.error().what);
    return std::nullopt;
  }

  // A number that lacks its unit or its quotes gets the error that its text would get, because that
  // one says what to write.
  template <typename T>
  std::optional<T> convert_scalar(std::string_view key, const TomlNode& node, const Form<T>& form) {
    if (const auto* number = std::get_if<std::int64_t>(&node.value)) {
      if (const Result<T> value = form(std::to_string(*number)); !value) {
        mistake(key, node.position, ": " + value.error().what);
        return std::nullopt;
      }
    }
    return convert(key, node, form);
  }

  const TomlTable* table_;
  Position position_;
  std::string label_;   // "[timeouts]", "[[route]]"; empty at the top level.
  std::string prefix_;  // "timeouts.", for `keys_`.
  DiagnosticList* diagnostics_;
  std::vector<std::string>* keys_;
  std::vector<std::string_view> known_;
};

template <typename T>
std::vector<Located<T>> TableReader::read_list(std::string_view key, const Form<T>& form) {
  std::vector<Located<T>> list;
  const TomlNode* node = find(key);
  const TomlArray* items = node == nullptr ? nullptr : array(key, *node);
  if (items == nullptr) return list;
  list.reserve(items->size());
  for (const TomlNode& item : *items) {
    if (auto value = convert(key, item, form)) list.push_back({*std::move(value), item.position});
  }
  return list;
}

template <typename T>
std::vector<Located<T>> TableReader::read_one_or_list(std::string_view key, const Form<T>& form) {
  const TomlNode* node = peek(key);
  if (node == nullptr || !std::holds_alternative<std::string>(node->value)) {
    return read_list(key, form);
  }
  T value;
  std::vector<Located<T>> list;
  if (const auto position = read(key, value, form)) list.push_back({std::move(value), *position});
  return list;
}

template <typename T>
std::vector<Located<T>> TableReader::read_strings_or_tables(
    std::string_view key, const Form<T>& form,
    const std::function<std::optional<T>(TableReader&)>& read) {
  std::vector<Located<T>> list;
  const auto add_table = [&](const TomlTable& table, Position position) {
    read_one(key, table, position, Written::value, [&](TableReader& reader) {
      if (auto value = read(reader)) list.push_back({*std::move(value), position});
    });
  };
  // There is nothing to read, but the keys of such a table are still collected.
  if (keys_ != nullptr) add_table({}, position_);
  const TomlNode* node = peek(key);
  const auto* table = node == nullptr ? nullptr : std::get_if<TomlTable>(&node->value);
  const auto* items = node == nullptr ? nullptr : std::get_if<TomlArray>(&node->value);
  if (table == nullptr && items == nullptr) return read_one_or_list(key, form);
  find(key);
  if (table != nullptr) {
    add_table(*table, node->position);
    return list;
  }
  for (const TomlNode& item : *items) {
    if (const auto* inner = std::get_if<TomlTable>(&item.value)) {
      add_table(*inner, item.position);
    } else if (auto value = convert(key, item, form)) {
      list.push_back({*std::move(value), item.position});
    }
  }
  return list;
}

}  // namespace sni
