#include "net/server/refused_start.h"

#include <spdlog/spdlog.h>

#include "net/log.h"

namespace sni {

bool log_refused_start(const LoadedConfig& loaded, const std::optional<Error>& error) {
  start_logging({.level = LogLevel::warning, .format = loaded.log_format});
  for (const Diagnostic& each : loaded.diagnostics) log_diagnostic(each);
  if (error) spdlog::error("{}", error->what);
  return stop_logging();
}

}  // namespace sni
