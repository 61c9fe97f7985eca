#pragma once

// A configuration with all that it needs from other files, read and checked as a start, a reload
// and `sni-proxy check` do it.

#include <optional>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/config/diagnostic.h"
#include "core/error.h"
#include "core/guard/access_entry.h"

namespace sni {

struct LoadedConfig {
  std::optional<Config> config;  // Empty: there are mistakes.
  std::vector<Diagnostic> diagnostics;
  std::vector<AccessEntry> block_file;  // Of access.block_file.
  std::vector<std::string> warnings;    // What is right as text but would do harm here.
  std::vector<std::string> files;       // The configuration's own, then those that it includes.
};

// An Error if the file cannot be read.
Result<LoadedConfig> load_config(const std::string& path);

}  // namespace sni
