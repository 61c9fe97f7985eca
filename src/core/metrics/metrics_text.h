#pragma once

// What is exported to Prometheus, in its text format (version 0.0.4): every row of
// core/session/totals, the histograms, and how the process stands. Label sets are bounded: no label
// has a value that comes from the network. docs/metrics.md has the table of all names, which a test
// holds against this.

#include <cstdint>
#include <span>
#include <string>

#include "core/session/counters.h"

namespace sni {

// How the process stands at the moment of a scrape.
struct ProcessState {
  std::string version;
  bool serving = false;               // Its listeners stand and it does not drain.
  std::uint64_t started_s = 0;        // Since the epoch.
  std::uint64_t config_loaded_s = 0;  // Likewise: when the running configuration was.
  std::uint64_t reloads_failed = 0;
  std::uint32_t workers = 0;
  std::uint32_t workers_ended = 0;
  std::uint32_t connections = 0;
  std::uint32_t relayed = 0;
  std::uint32_t relayed_max = 0;
  std::uint32_t pending_hellos = 0;
  std::uint64_t hello_bytes = 0;  // Of first flights that are held.
  std::uint64_t relay_bytes = 0;  // Held for readers that stall.
  std::uint64_t descriptors = 0;
  std::uint64_t descriptors_max = 0;
  std::uint64_t log_lines_dropped = 0;
};

std::string metrics_text(std::span<const Counters* const> workers, const ProcessState& state);

}  // namespace sni
