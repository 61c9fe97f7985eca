#pragma once

#include <optional>

#include "core/error.h"
#include "net/server/loaded_config.h"

namespace sni {

// Logs why the proxy does not start, in the format that its configuration asks for, since whatever
// collects a JSON log understands nothing else, and with priorities for the journal. For the time before Server::run(). False: nobody
// reads stderr, and the process must end by std::_Exit(), as for stop_logging().
[[nodiscard]] bool log_refused_start(const LoadedConfig& loaded, const std::optional<Error>& error);

}  // namespace sni
