#pragma once

// Log levels by name.

#include <string_view>

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

std::string_view to_string(LogLevel level);
Result<LogLevel> parse_log_level(std::string_view text);

}  // namespace sni
