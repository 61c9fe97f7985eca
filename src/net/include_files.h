#pragma once

#include <string>

#include "core/config/config_include.h"

namespace sni {

// Finds and reads what the configuration at `config_path` includes: patterns are relative to its
// directory. The configuration itself is never among it.
IncludeFiles include_files(const std::string& config_path);

}  // namespace sni
