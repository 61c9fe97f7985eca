#pragma once

// Reads a configuration: pure, over text. The keys and what they mean are those of
// config.toml.example.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/config/config_check.h"
#include "core/config/config_include.h"
#include "core/config/diagnostic.h"

namespace sni {

struct ConfigResult {
  std::optional<Config> config;          // Present exactly when no diagnostic is an error.
  std::vector<Diagnostic> diagnostics;   // Every mistake, in the order of the file.
  Position block_file;                   // Where access.block_file is given.
  std::vector<Position> password_files;  // Of the upstreams, in their order.
  AccountPlaces accounts;
  OutputPlaces outputs;
  std::vector<std::string> files;  // Which positions refer to: this file, then the included ones.
  // Of log.format, for reporting the diagnostics: known in spite of other mistakes. Text: unknown.
  LogFormat log_format = LogFormat::text;
};

// `file_name` appears in the diagnostics. At most limits::config_bytes_max bytes are read, included
// files among them.
ConfigResult read_config(std::string_view text, std::string_view file_name,
                         const InterfaceLookup& interfaces = {}, const IncludeFiles& files = {});

// The full names of all keys ("timeouts.hello"), tables among them ("timeouts").
std::vector<std::string> config_keys();

}  // namespace sni
