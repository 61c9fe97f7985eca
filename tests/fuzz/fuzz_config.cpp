// Any bytes as a configuration, NUL bytes between the files that it includes: never a crash; a
// configuration exactly if there is no error; every diagnostic at a position in its file; and a
// configuration that is written and read again is the same.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config_file.h"
#include "core/config/config_text.h"
#include "fuzz/property.h"

using sni::test::require;

namespace {

// Bytes of each line without its newline; columns count characters, of which there are at most as
// many.
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

// The files by name; "0" is the configuration itself.
std::map<std::string, std::string> files_of(std::string_view text) {
  std::map<std::string, std::string> files;
  while (true) {
    const std::size_t end = text.find('\0');
    files.emplace(std::to_string(files.size()), text.substr(0, end));
    if (end == text.npos || files.size() == 8) return files;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto files = files_of({reinterpret_cast<const char*>(data), size});
  const sni::IncludeFiles included{
      .list = [&](std::string_view /*pattern*/) -> sni::Result<std::vector<std::string>> {
        std::vector<std::string> names;
        for (const auto& [name, text] : files) {
          if (name != "0") names.push_back(name);
        }
        return names;
      },
      .read = [&](const std::string& name, std::size_t /*bytes_max*/) -> sni::Result<std::string> {
        return files.at(name);
      }};
  const sni::ConfigResult result = sni::read_config(files.at("0"), "0", {}, included);
  bool errors = false;
  for (const sni::Diagnostic& diagnostic : result.diagnostics) {
    errors |= diagnostic.severity == sni::Severity::error;
    require(files.contains(diagnostic.file), "a diagnostic is of one of the files");
    const std::vector<std::size_t> lengths = line_lengths(files.at(diagnostic.file));
    const auto [line, column, file] = diagnostic.position;
    require(line >= 1 && line <= lengths.size(), "the line is one of the text");
    // Something is missing one past the last character, or two where the parser counts the line's
    // end.
    require(column >= 1 && column <= lengths[line - 1] + 2, "the column is one of the line");
    for (const char c : diagnostic.message) require(c >= ' ' && c < 0x7f, "a message is printable");
  }
  require(errors != result.config.has_value(), "a configuration where there is no error");
  if (!result.config) return 0;
  const std::string text = sni::config_text(*result.config, sni::ConfigKeys::all);
  require(sni::read_config(text, "text").config == result.config, "it is read again as the same");
  return 0;
}
