#pragma once

// The export to Prometheus in its text format (version 0.0.4): every row of core/session/totals,
// the histograms, traffic, and the state of the process. Label sets are bounded. Values from the
// network become labels only if metrics.names and metrics.sources say so. A test compares the table
// of all names in docs/metrics.md with this.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/session/counters.h"
#include "core/session/totals.h"
#include "core/traffic/traffic.h"

namespace sni {

// Packets that XDP has dropped, by reason.
struct XdpDrops {
  std::string_view reason;
  std::uint64_t packets = 0;
};

// Traffic of one kind, as it is exported.
struct TrafficFamily {
  TrafficKind kind = TrafficKind::listener;
  TrafficReport report;
};

// The state of the process at a scrape.
struct ProcessState {
  std::string version;
  bool serving = false;               // It listens and is not draining.
  std::uint64_t started_s = 0;        // Since the epoch.
  std::uint64_t config_loaded_s = 0;  // Likewise: when the running configuration was.
  std::uint64_t reloads_failed = 0;
  std::uint32_t workers = 0;
  std::uint32_t workers_ended = 0;
  std::uint32_t connections = 0;
  std::uint32_t relayed = 0;
  std::uint32_t relayed_max = 0;
  std::uint32_t pending_hellos = 0;
  std::uint64_t hello_bytes = 0;  // Of buffered first flights.
  std::uint64_t relay_bytes = 0;  // Held for readers that stall.
  std::uint64_t descriptors = 0;
  std::uint64_t descriptors_max = 0;
  std::uint64_t log_lines_dropped = 0;
  std::uint32_t workers_silent = 0;  // Whose traffic is missing from this scrape.
  std::vector<XdpDrops> xdp_drops;
  std::uint64_t sockhash_backlog_peak = 0;  // In bytes, of the living pairs.
};

// `totals` are all rows that have a count; `workers` add their histograms.
std::string metrics_text(std::span<const Total> totals, std::span<const Counters* const> workers,
                         const ProcessState& state, std::span<const TrafficFamily> traffic);

}  // namespace sni
