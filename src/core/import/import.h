#pragma once

// Converts the configuration of another proxy: routing by server name is taken over, and each line
// that is not is reported with the reason.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sni::limits {

// Bytes and nesting depth of another proxy's configuration.
inline constexpr std::size_t import_bytes_max = 4 * 1024 * 1024;
inline constexpr std::size_t import_depth_max = 16;

}  // namespace sni::limits

namespace sni {

enum class ImportFrom : std::uint8_t { sniproxy, haproxy, nginx };

// A note on a line that could not be taken over as it is.
struct ImportNote {
  std::uint32_t line = 0;  // 0: no single line.
  std::string text;
  bool operator==(const ImportNote&) const = default;
};

struct Imported {
  std::string text;               // The configuration.
  std::vector<ImportNote> notes;  // In the order of the lines.
  // Those that `check` finds in `text`, without the file's name.
  std::vector<std::string> mistakes;
};

// Errors: the file cannot be parsed, or nothing in it serves by server name.
Result<Imported> import_config(ImportFrom from, std::string_view text);

}  // namespace sni
