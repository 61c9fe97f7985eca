#pragma once

// What an import prints, for tests.

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "core/config/config_file.h"
#include "core/import/import.h"

namespace sni {

struct Taken {
  Config config;
  std::string text;
  std::string notes;  // "LINE: text", a line each.
};

// An import without mistakes.
inline Taken taken(ImportFrom from, std::string_view text) {
  const auto imported = import_config(from, text);
  if (!imported) MESSAGE(imported.error().what);
  REQUIRE(imported.has_value());
  CAPTURE(imported->text);
  for (const std::string& mistake : imported->mistakes) MESSAGE(mistake);
  CHECK(imported->mistakes.empty());
  Taken result{.config = {}, .text = imported->text, .notes = {}};
  for (const ImportNote& note : imported->notes) {
    result.notes += std::to_string(note.line) + ": " + note.text + '\n';
  }
  auto config = read_config(imported->text, "imported").config;
  REQUIRE(config.has_value());
  result.config = *std::move(config);
  return result;
}

}  // namespace sni
