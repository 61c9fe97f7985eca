#include "core/config/toml_reader.h"

#include <algorithm>

#include "core/config/foreign_keys.h"

namespace sni {

std::string TableReader::label_of_child(std::string_view key, Written written) const {
  if (written != Written::table || !label_.starts_with('[')) return label_of(key, written);
  std::string parent = label_;
  std::erase_if(parent, [](char c) { return c == '[' || c == ']'; });
  return label_of(parent + '.' + std::string(key), written);
}

std::string TableReader::label_of(std::string_view key, Written written) {
  switch (written) {
    case Written::table:
      return "[" + std::string(key) + "]";
    case Written::array_of_tables:
      return "[[" + std::string(key) + "]]";
    case Written::value:
      break;
  }
  return in_quotes(key);
}

TableReader::TableReader(const TableReader& parent, const TomlTable& table, Position position,
                         std::string_view key, Written written)
    : table_(&table),
      position_(position),
      label_(parent.label_of_child(key, written)),
      prefix_(std::string(key) + '.'),
      diagnostics_(parent.diagnostics_),
      keys_(parent.keys_) {}

void TableReader::read(std::string_view key, bool& out) {
  const TomlNode* node = find(key);
  if (node == nullptr) return;
  const bool* value = std::get_if<bool>(&node->value);
  if (value == nullptr) return wrong_type(key, *node, "true or false");
  out = *value;
}

void TableReader::require(std::string_view key) {
  if (peek(key) == nullptr) diagnostics_->error(position_, label_ + " has no " + in_quotes(key));
}

void TableReader::reject_empty(std::string_view key) {
  const TomlNode* node = peek(key);
  const TomlArray* items = node == nullptr ? nullptr : std::get_if<TomlArray>(&node->value);
  if (items != nullptr && items->empty()) mistake(key, node->position, " must not be empty");
}

Position TableReader::position_of(std::string_view key) const {
  const TomlNode* node = peek(key);
  return node == nullptr ? position_ : node->position;
}

void TableReader::read_table(std::string_view key, const std::function<void(TableReader&)>& read) {
  static const TomlTable empty;
  const TomlNode* node = find(key);
  if (node == nullptr) return read_one(key, empty, position_, Written::table, read);
  const auto* table = std::get_if<TomlTable>(&node->value);
  if (table == nullptr) {
    return wrong_type(key, *node, "a table, written [" + std::string(key) + "]");
  }
  read_one(key, *table, node->position, Written::table, read);
}

void TableReader::read_tables(std::string_view key, const std::function<void(TableReader&)>& read) {
  static const TomlTable empty;
  const std::string expected = "an array of tables, each written [[" + std::string(key) + "]]";
  const TomlNode* node = find(key);
  if (node == nullptr) {
    // There is nothing to read, but the keys of such a table are still collected.
    if (keys_ != nullptr) read_one(key, empty, position_, Written::array_of_tables, read);
    return;
  }
  const auto* items = std::get_if<TomlArray>(&node->value);
  if (items == nullptr) return wrong_type(key, *node, expected);
  for (const TomlNode& item : *items) {
    if (const auto* table = std::get_if<TomlTable>(&item.value)) {
      read_one(key, *table, item.position, Written::array_of_tables, read);
    } else {
      wrong_type(key, item, expected);
    }
  }
}

void TableReader::read_one(std::string_view key, const TomlTable& table, Position position,
                           Written written, const std::function<void(TableReader&)>& read) {
  TableReader reader(*this, table, position, key, written);
  read(reader);
  reader.reject_unknown();
}

void TableReader::reject_unknown() {
  for (const TomlEntry& entry : *table_) {
    if (std::ranges::find(known_, entry.key) != known_.end()) continue;
    std::string hint(foreign_key_hint(label_, entry.key));
    if (hint.empty()) hint = did_you_mean(entry.key, known_);
    diagnostics_->error(entry.position,
                        "unknown key " + in_quotes(entry.key) + ' ' + place() + hint);
  }
}

const TomlNode* TableReader::peek(std::string_view key) const {
  const auto entry = std::ranges::find(*table_, key, &TomlEntry::key);
  return entry == table_->end() ? nullptr : &entry->node;
}

const TomlNode* TableReader::find(std::string_view key) {
  known_.push_back(key);
  if (keys_ != nullptr) keys_->push_back(prefix_ + std::string(key));
  return peek(key);
}

std::optional<std::uint64_t> TableReader::integer(std::string_view key, std::uint64_t min,
                                                  std::uint64_t max) {
  const TomlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = std::get_if<std::int64_t>(&node->value);
  if (value == nullptr) {
    wrong_type(key, *node, "an integer");
    return std::nullopt;
  }
  if (std::cmp_less(*value, min) || std::cmp_greater(*value, max)) {
    mistake(key, node->position,
            " must be between " + std::to_string(min) + " and " + std::to_string(max) + ", not " +
                std::to_string(*value));
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*value);
}

void TableReader::read_size(std::string_view key, std::uint64_t& out,
                            const Form<std::uint64_t>& form) {
  const TomlNode* node = find(key);
  if (node == nullptr) return;
  const auto* bytes = std::get_if<std::int64_t>(&node->value);
  if (bytes == nullptr) {
    if (const auto value = convert(key, *node, form)) out = *value;
  } else if (const auto value = form(std::to_string(*bytes))) {
    out = *value;
  } else {
    mistake(key, node->position, ": " + value.error().what);
  }
}

const std::string* TableReader::text(std::string_view key, const TomlNode& node) {
  const auto* value = std::get_if<std::string>(&node.value);
  if (value == nullptr) wrong_type(key, node, "a string");
  return value;
}

const TomlArray* TableReader::array(std::string_view key, const TomlNode& node) {
  const auto* value = std::get_if<TomlArray>(&node.value);
  if (value == nullptr) wrong_type(key, node, "an array of strings");
  return value;
}

void TableReader::wrong_type(std::string_view key, const TomlNode& node,
                             std::string_view expected) {
  mistake(key, node.position,
          " must be " + std::string(expected) + ", not " + std::string(type_name(node)));
}

void TableReader::mistake(std::string_view key, Position position, std::string_view what) {
  diagnostics_->error(position, in_quotes(key) + ' ' + place() + std::string(what));
}

std::string TableReader::place() const {
  return label_.empty() ? "at the top level" : "in " + label_;
}

}  // namespace sni
