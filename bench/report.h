#pragma once

// All results of a run, and their output as text and JSON. Pure: nothing here measures.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/columns.h"

namespace sni::bench {

enum class RowKind : std::uint8_t { direct, plane, peer };

struct Row {
  std::string id;     // "userspace", "local/userspace"
  std::string title;  // "sni-proxy, userspace relay"
  std::string group;  // Rows of one group are compared with each other.
  std::string base;   // Id of the userspace relay in this group.
  RowKind kind = RowKind::direct;
  std::string version;
};

struct Sample {
  std::string row;
  std::string column;
  int round = 0;
  int place = 0;  // The proxy's CPU (see pin.h).
  Outcome outcome;
};

struct Report {
  std::string mode;                            // "namespaces" or "loopback"
  std::string started;                         // ISO 8601, UTC.
  std::map<std::string, std::string> machine;  // Kernel, CPU, sysctls.
  std::map<std::string, double> settings;      // Rounds, seconds.
  std::map<std::string, std::string> groups;   // Group to its title.
  std::vector<Row> rows;
  std::vector<Sample> samples;
  std::vector<double> idle_busy;  // Per round; CPU seconds per second.
};

// A metric of a row over the rounds. If the proxy had two places, the samples have two centers:
// median and ratio are the geometric means of those of each place, and the spread is the larger
// one.
struct Figure {
  std::vector<double> samples = {};
  double median = 0;  // NaN: not measured, or the row did not reach a fixed load.
  double spread = 0;  // See stats.h.
  // Relative to the userspace relay of the group: the median of the rounds' ratios, each of two
  // measurements close in time, because the speed of a machine drifts more than that of a plane.
  // NaN: not known.
  double ratio = 0;
};
Figure figure(const Report& report, const Row& row, const Metric& metric);

// Why the row's figures are invalid; empty: they are valid.
std::vector<std::string> faults(const Report& report, const Row& row);
bool valid(const Report& report);
// Warnings for the reader of the figures: the machine was busy with other work, or the generator
// and not a proxy may have been the limit.
std::vector<std::string> cautions(const Report& report);

// The initial expectations of the project, next to the result of the best plane of this run.
struct Expectation {
  std::string_view what;      // "latency"
  std::string_view expected;  // "10 times lower"
  std::string metric;         // Key.
  std::string best_row;       // Empty: no plane but userspace was measured.
  double ratio = 0;           // Of the best plane relative to the userspace relay.
};
std::vector<Expectation> expectations(const Report& report);

// At most 100 columns wide.
std::string text_report(const Report& report);
std::string json_report(const Report& report);

// "71.2k", "5.12", "1.3 MiB": at most seven characters; "-" for NaN.
std::string format_number(double value, std::string_view unit);

}  // namespace sni::bench
