#pragma once

// Files that a configuration includes, so that a tool can drop in one per service:
//
//   include = ["conf.d/*.toml"]
//
// Arrays of tables ([[route]], [[listener]], [[upstream]]) are joined in the order of the files.
// Every other table is in one file only. An included file cannot include others.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/toml_document.h"
#include "core/error.h"

namespace sni::limits {

// Patterns in `include`, and files that they may match in all. config_bytes_max bounds all files
// together.
inline constexpr std::size_t include_patterns_max = 64;
inline constexpr std::size_t include_files_max = 4096;

}  // namespace sni::limits

namespace sni {

// How files are found and read: core makes no system calls.
struct IncludeFiles {
  // The files that a pattern matches, sorted by name. A pattern without wildcards is one file.
  std::function<Result<std::vector<std::string>>(std::string_view pattern)> list;
  std::function<Result<std::string>(const std::string& path, std::size_t bytes_max)> read;
};

// Merges the files that the key `include` names into `root`, whose text had `bytes`. False: a file
// cannot be read or parsed, and `diagnostics` says why. The reader of the key reports mistakes in
// the key itself. Empty functions include nothing, and report that.
bool take_includes(TomlTable& root, std::size_t bytes, const IncludeFiles& files,
                   DiagnosticList& diagnostics);

}  // namespace sni
