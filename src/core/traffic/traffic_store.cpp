#include "core/traffic/traffic_store.h"

#include <nlohmann/json.hpp>
#include <optional>

namespace sni {

namespace {

using nlohmann::json;

constexpr int store_version = 1;

json counts_json(const TrafficCount& count) {
  return json::array({count.connections, count.to_backend, count.to_client});
}

std::optional<TrafficCount> parse_count(const json& value) {
  if (!value.is_array() || value.size() != 3) return std::nullopt;
  for (const json& each : value) {
    if (!each.is_number_unsigned()) return std::nullopt;
  }
  return TrafficCount{.connections = value[0], .to_backend = value[1], .to_client = value[2]};
}

// The report of one kind: {"rows": {"a.example": [3, 10, 20], ...}, "other": [0, 0, 0]}.
std::optional<TrafficReport> parse_report(const json& value) {
  if (!value.is_object() || !value.contains("rows") || !value.contains("other")) {
    return std::nullopt;
  }
  const auto other = parse_count(value["other"]);
  const json& rows = value["rows"];
  if (!other || !rows.is_object() || rows.size() > limits::traffic_entries) return std::nullopt;
  TrafficReport report{.rows = {}, .other = *other};
  for (const auto& [key, each] : rows.items()) {
    const auto count = parse_count(each);
    if (!count) return std::nullopt;
    report.rows.push_back({.key = key, .count = *count});
  }
  return report;
}

}  // namespace

std::string traffic_store_text(const TrafficStore& store) {
  json whole = {{"version", store_version}, {"since", store.since_s}};
  for (std::size_t i = 0; i < traffic_kinds; ++i) {
    json rows = json::object();
    for (const TrafficRow& row : store.reports[i].rows) rows[row.key] = counts_json(row.count);
    whole[std::string(to_string(static_cast<TrafficKind>(i)))] = {
        {"rows", std::move(rows)}, {"other", counts_json(store.reports[i].other)}};
  }
  return whole.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace) + '\n';
}

Result<TrafficStore> parse_traffic_store(std::string_view text) {
  const json whole = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!whole.is_object() || !whole.contains("version")) return fail("it holds no traffic");
  if (whole["version"] != store_version) return fail("it is of another version");
  if (!whole.contains("since") || !whole["since"].is_number_unsigned()) {
    return fail("it does not say since when it counts");
  }
  TrafficStore store{.since_s = whole["since"], .reports = {}};
  for (std::size_t i = 0; i < traffic_kinds; ++i) {
    const std::string kind(to_string(static_cast<TrafficKind>(i)));
    if (!whole.contains(kind)) continue;
    auto report = parse_report(whole[kind]);
    if (!report) return fail("its traffic by " + kind + " is broken");
    store.reports[i] = std::move(*report);
  }
  return store;
}

}  // namespace sni
