#pragma once

// The text of `[access] block_file`: one address or prefix a line, "#" or ";" begins a comment, and
// "until 2026-12-01T00:00:00Z" after an entry ends it then. That is how public blocklists are
// published, so they can be used as they come.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"

namespace sni {

struct BlockFileEntry {
  IpPrefix prefix;
  std::optional<std::chrono::sys_seconds> until;
};

struct BlockFileMistake {
  std::size_t line = 0;    // From 1.
  std::size_t column = 0;  // From 1, in bytes.
  std::string message;
};

struct BlockFile {
  std::vector<BlockFileEntry> entries;
  std::vector<BlockFileMistake> mistakes;  // At most limits::block_file_mistakes_max.
};

BlockFile parse_block_file(std::string_view text);

// RFC 3339 in UTC, to the second: "2026-12-01T00:00:00Z".
std::optional<std::chrono::sys_seconds> parse_utc_time(std::string_view text);

}  // namespace sni
