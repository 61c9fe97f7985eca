#pragma once

// The text of `[access] block_file`: one entry (core/guard/access_entry.h) a line, and comments
// that begin with "#" or ";", as in public blocklists.

#include <optional>
#include <string_view>
#include <vector>

#include "core/config/diagnostic.h"
#include "core/guard/access_entry.h"

namespace sni {

struct BlockFile {
  std::vector<AccessEntry> entries;
  std::vector<Diagnostic> mistakes;  // Lines that are not entries, in order.
  std::size_t bad_lines = 0;         // Their number; the list of mistakes is bounded.
  bool too_long = false;             // Entries were left out; the last mistake says so.
};

// `file_name` appears in the mistakes.
BlockFile parse_block_file(std::string_view text, std::string_view file_name);

}  // namespace sni
