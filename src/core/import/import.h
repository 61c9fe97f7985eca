#pragma once

// The configuration of another proxy as one of this proxy: what serves by server name is taken over,
// and each line that is not is named with its reason.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sni::limits {

// Bytes of a configuration of another proxy, and how deep its blocks nest.
inline constexpr std::size_t import_bytes_max = 4 * 1024 * 1024;
inline constexpr std::size_t import_depth_max = 16;

}  // namespace sni::limits

namespace sni {

enum class ImportFrom : std::uint8_t { sniproxy, haproxy, nginx };

// What became of a line that could not be taken over as it is.
struct ImportNote {
  std::uint32_t line = 0;  // 0: no single one.
  std::string text;
  bool operator==(const ImportNote&) const = default;
};

struct Imported {
  std::string text;                   // The configuration.
  std::vector<ImportNote> notes;      // In the order of the lines.
  std::vector<std::string> mistakes;  // That `check` finds in `text`, without its name.
};

// An Error: the file cannot be understood, or nothing in it serves by server name.
Result<Imported> import_config(ImportFrom from, std::string_view text);

}  // namespace sni
