#pragma once

// Files that a configuration takes in, so that a tool can drop one for each service:
//
//   include = ["conf.d/*.toml"]
//
// Arrays of tables ([[route]], [[listener]], [[upstream]]) are joined in the order of the files.
// Every other table stands in one file. A file that is included cannot include.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/toml_document.h"
#include "core/error.h"

namespace sni::limits {

// Patterns in `include`, and files that they may stand for in all. config_bytes_max is the bound of
// all files together.
inline constexpr std::size_t include_patterns_max = 64;
inline constexpr std::size_t include_files_max = 4096;

}  // namespace sni::limits

namespace sni {

// How files are found and read, which is not core's to do.
struct IncludeFiles {
  // What a pattern stands for, in the order of the names. One without wildcards is a file.
  std::function<Result<std::vector<std::string>>(std::string_view pattern)> list;
  std::function<Result<std::string>(const std::string& path, std::size_t bytes_max)> read;
};

// Joins to `root`, of which the text had `bytes`, what its key `include` names. False: one of those
// files cannot be read or parsed, as `diagnostics` says; what is wrong with the key itself is left
// to its reader. Empty functions include nothing, and say so.
bool take_includes(TomlTable& root, std::size_t bytes, const IncludeFiles& files,
                   DiagnosticList& diagnostics);

}  // namespace sni
