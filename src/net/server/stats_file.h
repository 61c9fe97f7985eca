#pragma once

// stats.file: the traffic that earlier processes have counted, and its storage. The file is
// replaced as a whole, so that a crash or a full disk leaves the previous one.

#include <optional>
#include <string>

#include "core/error.h"
#include "core/traffic/traffic_store.h"

namespace sni {

// nullopt: there is no file yet. Errors say what is wrong with it.
Result<std::optional<TrafficStore>> read_stats_file(const std::string& path);
Result<void> write_stats_file(const std::string& path, const TrafficStore& store);

}  // namespace sni
