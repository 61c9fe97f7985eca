// The first byte picks the program, and the rest is its configuration: never a crash; notes only at
// lines that exist; and the output is TOML without unknown keys.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/import/import.h"
#include "fuzz/property.h"

using namespace sni;
using sni::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto imported = import_config(static_cast<ImportFrom>(data[0] % 3), text);
  if (!imported) return 0;
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  for (const ImportNote& note : imported->notes) {
    require(note.line <= lines, "the line is one of the text");
    for (const char c : note.text) require(c >= ' ' && c < 0x7f, "a note is printable");
  }
  for (const std::string& mistake : imported->mistakes) {
    require(!mistake.starts_with("syntax error"), "what is printed is TOML");
    require(!mistake.starts_with("unknown key"), "what is printed has no unknown key");
  }
  return 0;
}
