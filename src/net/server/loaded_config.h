#pragma once

// A configuration with everything that it needs from other files, read and checked in the same way
// for a start, a reload and `sni-proxy check`.

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
  std::vector<AccessEntry> block_file;     // Of access.block_file.
  std::vector<std::string> warnings;       // Valid settings that would do harm on this host.
  std::vector<std::string> files;          // The configuration file, then those that it includes.
  LogFormat log_format = LogFormat::text;  // As in ConfigResult: known in spite of mistakes.
};

// An Error if the file cannot be read.
Result<LoadedConfig> load_config(const std::string& path);

}  // namespace sni
