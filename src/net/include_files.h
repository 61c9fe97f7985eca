#pragma once

#include <string>

#include "core/config/config_include.h"

namespace sni {

// Finds and reads the files that the configuration at `config_path` includes. Patterns are relative
// to its directory. The configuration itself is never among the results.
IncludeFiles include_files(const std::string& config_path);

}  // namespace sni
