#pragma once

// The format of stats.file: one JSON object with a version, so that a later proxy can recognise it.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/traffic/traffic.h"

namespace sni {

struct TrafficStore {
  std::uint64_t since_s = 0;  // When counting began, since the epoch.
  std::array<TrafficReport, traffic_kinds> reports;
};

std::string traffic_store_text(const TrafficStore& store);
// Any bytes become a store or an error.
Result<TrafficStore> parse_traffic_store(std::string_view text);

}  // namespace sni
