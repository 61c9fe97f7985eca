#include "core/traffic/traffic.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "core/address/source.h"
#include "core/session/access_line.h"

namespace sni {

namespace {

constexpr std::array<std::string_view, traffic_kinds> kind_names{"listener", "route",  "backend",
                                                                 "name",     "source", "plane"};

// As in limits and bans: one subscriber has at least a /64.
constexpr std::uint8_t ipv6_source_bits = 64;

// Sources are stored as 16 bytes of address and one of length, and become text in reports.
using SourceKey = std::array<char, 17>;

SourceKey key_of(const IpAddress& address) {
  const IpPrefix source = source_of(address, ipv6_source_bits);
  SourceKey key;
  std::memcpy(key.data(), source.base.bytes.data(), source.base.bytes.size());
  key.back() = static_cast<char>(source.length);
  return key;
}

std::string told(TrafficKind kind, const std::string& key) {
  if (kind != TrafficKind::source) return escape_for_log(key);
  IpPrefix source;
  std::memcpy(source.base.bytes.data(), key.data(), source.base.bytes.size());
  source.length = static_cast<std::uint8_t>(key.back());
  return source.to_string();
}

template <std::size_t... index>
std::array<TrafficTable, sizeof...(index)> tables(SipKey key, std::index_sequence<index...>) {
  return {((void)index, TrafficTable(limits::traffic_entries, key))...};
}

}  // namespace

std::string_view to_string(TrafficKind kind) {
  return kind_names[static_cast<std::size_t>(kind)];
}

std::optional<TrafficKind> parse_traffic_kind(std::string_view text) {
  const auto* const found = std::ranges::find(kind_names, text);
  if (found == kind_names.end()) return std::nullopt;
  return static_cast<TrafficKind>(found - kind_names.begin());
}

Traffic::Traffic(SipKey key) : tables_(tables(key, std::make_index_sequence<traffic_kinds>())) {}

void Traffic::add(const FlowRecord& flow, const TrafficCount& count, bool new_on_plane) {
  const SourceKey source = key_of(flow.client.ip);
  const std::string_view none;
  table(TrafficKind::listener).add(flow.listener->name, count);
  table(TrafficKind::route).add(flow.route ? flow.route->config.names.front() : none, count);
  table(TrafficKind::backend).add(flow.backend != nullptr ? flow.backend->text : none, count);
  table(TrafficKind::name).add(flow.server_name, count);
  table(TrafficKind::source).add({source.data(), source.size()}, count);
  TrafficCount on_plane = count;
  on_plane.connections = new_on_plane ? 1 : 0;
  table(TrafficKind::plane).add(to_string(flow.plane), on_plane);
}

TrafficReport Traffic::report(TrafficKind kind) const {
  const TrafficTable& table = tables_[static_cast<std::size_t>(kind)];
  TrafficReport report{.rows = table.rows(), .other = table.other()};
  for (TrafficRow& row : report.rows) row.key = told(kind, row.key);
  return report;
}

void TrafficSum::add(const TrafficReport& report) {
  for (const TrafficRow& row : report.rows) counts_[row.key] += row.count;
  other_ += report.other;
}

TrafficReport TrafficSum::heaviest(std::size_t top) const {
  TrafficReport report{.rows = {}, .other = other_};
  report.rows.reserve(counts_.size());
  for (const auto& [key, count] : counts_) report.rows.push_back({.key = key, .count = count});
  std::ranges::sort(report.rows, [](const TrafficRow& a, const TrafficRow& b) {
    return std::tuple(b.count.bytes(), b.count.connections, std::string_view(a.key)) <
           std::tuple(a.count.bytes(), a.count.connections, std::string_view(b.key));
  });
  const std::size_t kept = std::min(top, report.rows.size());
  for (std::size_t i = kept; i < report.rows.size(); ++i) report.other += report.rows[i].count;
  report.rows.resize(kept);
  return report;
}

}  // namespace sni
