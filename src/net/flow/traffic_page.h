#pragma once

// What a worker answers to those who ask for its traffic: living connections are counted a page at
// a time (net/flow/live_flow.h), and with the last page come the reports.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/traffic/traffic.h"

namespace sni {

struct TrafficPage {
  std::optional<std::uint32_t> next;  // Where the next page begins; nullopt: this was the last one.
  std::vector<TrafficReport> reports;  // With the last page: one for each kind that was asked for.
};

}  // namespace sni
