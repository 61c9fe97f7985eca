// Any bytes as a block file: never a crash, each line an entry, a mistake or nothing, and every
// mistake at a place that the text has.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/guard/block_file.h"
#include "core/limits.h"
#include "fuzz/property.h"

using sni::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  const sni::BlockFile file = sni::parse_block_file(text, "list");
  require(file.entries.size() + file.bad_lines <= lines, "a line is one thing");
  require(file.mistakes.empty() == (file.bad_lines == 0 && !file.too_long),
          "there are mistakes where lines are bad");
  require(file.mistakes.size() <= sni::limits::diagnostics_max + 1, "mistakes are bounded");
  for (const sni::Diagnostic& mistake : file.mistakes) {
    require(mistake.position.line >= 1 && mistake.position.line <= lines, "the line is there");
    for (const char c : mistake.message) require(c >= ' ' && c < 0x7f, "a message is printable");
  }
  for (const sni::AccessEntry& entry : file.entries) {
    const auto again = sni::parse_access_entry(entry.prefix.to_string());
    require(again && again->prefix == entry.prefix, "what is printed reads back");
  }
  return 0;
}
