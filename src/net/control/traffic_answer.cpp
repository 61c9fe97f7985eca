#include "net/control/traffic_answer.h"

#include <nlohmann/json.hpp>

namespace sni {

namespace {

using nlohmann::json;

json count_answer(const TrafficCount& count) {
  return {{"connections", count.connections},
          {"client_bytes", count.to_backend},
          {"server_bytes", count.to_client}};
}

}  // namespace

json traffic_answer(TrafficKind kind, const TrafficReport& report) {
  json rows = json::array();
  for (const TrafficRow& row : report.rows) {
    json told = count_answer(row.count);
    told["key"] = row.key;
    rows.push_back(std::move(told));
  }
  return {
      {"by", to_string(kind)}, {"rows", std::move(rows)}, {"other", count_answer(report.other)}};
}

}  // namespace sni
