// Any bytes as a configuration: never a crash, a configuration exactly where there is no error, and
// every diagnostic at a place that the text has.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/config/config_file.h"
#include "fuzz/property.h"

using sni::test::require;

namespace {

// Bytes of each line, its end excluded; columns count characters, which are no more than these.
std::vector<std::size_t> line_lengths(std::string_view text) {
  std::vector<std::size_t> lengths(1);
  for (const char c : text) {
    if (c == '\n') {
      lengths.push_back(0);
    } else {
      ++lengths.back();
    }
  }
  return lengths;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::size_t> lengths = line_lengths(text);
  const sni::ConfigResult result = sni::read_config(text, "fuzz.toml");
  bool errors = false;
  for (const sni::Diagnostic& diagnostic : result.diagnostics) {
    errors |= diagnostic.severity == sni::Severity::error;
    const auto [line, column] = diagnostic.position;
    require(line >= 1 && line <= lengths.size(), "the line is one of the text");
    // Something is missing one past the last character, or two where the parser counts the line's
    // end.
    require(column >= 1 && column <= lengths[line - 1] + 2, "the column is one of the line");
    for (const char c : diagnostic.message) require(c >= ' ' && c < 0x7f, "a message is printable");
  }
  require(errors != result.config.has_value(), "a configuration where there is no error");
  return 0;
}
