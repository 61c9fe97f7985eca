#pragma once

// stats.file: what traffic the proxy has counted before this process, and how it is kept. The file is
// replaced as a whole, so that a crash or a full disk leaves the one before.

#include <optional>
#include <string>

#include "core/error.h"
#include "core/traffic/traffic_store.h"

namespace sni {

// nullopt: there is no file yet. An error says what is wrong with it.
Result<std::optional<TrafficStore>> read_stats_file(const std::string& path);
Result<void> write_stats_file(const std::string& path, const TrafficStore& store);

}  // namespace sni
