#pragma once

// Connections and bytes by listener, route, backend, name, source and plane. Each worker has one of
// these, and only its thread writes to it. The main thread asks for reports and sums them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/session/flow_record.h"
#include "core/traffic/traffic_table.h"

namespace sni::limits {

// Keys per kind and worker, about 200 bytes each. Traffic of further keys is summed in one row.
inline constexpr std::size_t traffic_entries = 1024;
// Rows of one answer about traffic: the default and the maximum.
inline constexpr std::size_t traffic_top_default = 20;
inline constexpr std::size_t traffic_top_max = 1000;

}  // namespace sni::limits

namespace sni {

enum class TrafficKind : std::uint8_t { listener, route, backend, name, source, plane };
inline constexpr std::size_t traffic_kinds = static_cast<std::size_t>(TrafficKind::plane) + 1;
std::string_view to_string(TrafficKind kind);
std::optional<TrafficKind> parse_traffic_kind(std::string_view text);

// Traffic of one kind. Keys are escaped as in the log, addresses are text.
struct TrafficReport {
  std::vector<TrafficRow> rows;
  TrafficCount other;  // Of keys without a row.
};

class Traffic {
 public:
  explicit Traffic(SipKey key);

  // Adds `count` to what was counted for this flow before. `new_on_plane`: the flow has not been
  // counted under its plane yet; a flow that changes planes is a connection of each.
  void add(const FlowRecord& flow, const TrafficCount& count, bool new_on_plane);
  TrafficReport report(TrafficKind kind) const;

 private:
  TrafficTable& table(TrafficKind kind) { return tables_[static_cast<std::size_t>(kind)]; }

  std::array<TrafficTable, traffic_kinds> tables_;
};

// Sums reports of one kind.
class TrafficSum {
 public:
  // `key`: the hash key, unknown to clients, who choose names.
  explicit TrafficSum(const SipKey& key) : counts_(0, KeyedStringHash{key}) {}

  void add(const TrafficReport& report);
  // The `top` heaviest by bytes, then by connections; `other` has the sum of the rest.
  TrafficReport heaviest(std::size_t top) const;

 private:
  std::unordered_map<std::string, TrafficCount, KeyedStringHash> counts_;
  TrafficCount other_;
};

}  // namespace sni
