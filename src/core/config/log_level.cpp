#include "core/config/log_level.h"

#include <array>

#include "core/config/config_forms.h"

namespace sni {

namespace {

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};

}  // namespace

std::string_view to_string(LogLevel level) {
  return level_names[static_cast<std::size_t>(level)];
}

Result<LogLevel> parse_log_level(std::string_view text) {
  const auto index = forms::one_of(text, level_names);
  if (!index) return std::unexpected(index.error());
  return static_cast<LogLevel>(*index);
}

}  // namespace sni
