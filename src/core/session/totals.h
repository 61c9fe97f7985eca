#pragma once

// All published counters: the one table behind the last log line, `status` and the metrics. A new
// counter gets its row here.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/session/counters.h"

namespace sni {

// One row, summed over all workers. Names are stable: scripts and metrics depend on them.
struct Total {
  std::string_view name;    // "ended".
  std::string_view reason;  // "idle_timeout"; empty: the name is complete.
  std::uint64_t value = 0;
};
std::vector<Total> totals(std::span<const Counters* const> workers);

// As in the last log line: "accepted=3 ended.done=2 ...", without zeros.
std::string totals_line(std::span<const Total> totals);

}  // namespace sni
