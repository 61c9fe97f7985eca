#pragma once

// What is measured: the columns (one step of load each) and the metrics that a step yields.

#include <cstdint>
#include <span>
#include <string_view>

#include "bench/load.h"

namespace sni::bench {

// The conditions of a step besides its target.
struct Conditions {
  Timing timing;
  double idle_busy = 0;  // CPU seconds per second of the idle machine.
  std::uint32_t idle_connections = 5'000;
  double stall_s = 3;
  std::uint64_t stall_bytes_max = 1ull << 30;
};

// CPUs that may be busy without load; with more, CPU time says nothing about the load.
inline constexpr double idle_busy_max = 0.1;

struct Column {
  std::string_view id;  // As --only and the reports name it.
  std::string_view title;
  Outcome (*run)(const Target&, const Conditions&);
  double windows = 1;        // Length of its window in units of --seconds.
  double extra_s = 0;        // Approximate time besides warm-up and window.
  bool needs_proxy = false;  // Measures the proxy itself, which direct rows do not have.
  bool awake = false;        // CPUs are kept from sleeping meanwhile.
  bool once = false;         // Does not vary by chance: the first round is enough.
};
std::span<const Column> columns();

// One figure of a report: a value of a column's outcomes.
struct Metric {
  std::string_view column;
  std::string_view value;
  std::string_view title;
  std::string_view unit;
  bool higher_is_better = true;
  std::string key() const { return std::string(column) + "." + std::string(value); }
};
std::span<const Metric> metrics();
// By key; there must be such a metric.
const Metric& metric_of(std::string_view key);

// The rates of the two fixed-load columns.
inline constexpr double fixed_gbit_s = 5;
inline constexpr std::uint32_t fixed_messages_per_second = 20'000;

}  // namespace sni::bench
