#pragma once

// A worker's answer to a request for its traffic. Live connections are counted a page at a time
// (net/flow/live_flow.h), and the last page has the reports.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/traffic/traffic.h"

namespace sni {

struct TrafficPage {
  std::optional<std::uint32_t> next;  // Where the next page begins; nullopt: this was the last one.
  std::vector<TrafficReport> reports;  // On the last page: one for each requested kind.
};

}  // namespace sni
