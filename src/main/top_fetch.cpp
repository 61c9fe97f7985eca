#include "main/top_fetch.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/traffic/traffic.h"
#include "main/control_command.h"
#include "net/control/control_client.h"

namespace sni {
namespace {

using nlohmann::json;

std::uint64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

Result<json> traffic(const std::string& socket, const char* kind) {
  return control_call(socket,
                      {{"command", "stats"}, {"by", kind}, {"top", limits::traffic_top_max}});
}

void add_totals(TopSample& sample, const json& listeners) {
  json rows = json_member(listeners, "rows");
  rows.push_back(json_member(listeners, "other"));
  for (const json& row : rows) {
    sample.up += json_number(row, "client_bytes");
    sample.down += json_number(row, "server_bytes");
  }
}

TopConnection connection_of(const json& flow) {
  return {.id = json_text(flow, "id", ""),
          .client = json_text(flow, "client", ""),
          .name = json_text(flow, "server_name", ""),
          .backend = json_text(flow, "backend", ""),
          .plane = json_text(flow, "plane", ""),
          .up = json_number(flow, "client_bytes"),
          .down = json_number(flow, "server_bytes"),
          .rate = json_number(flow, "rate"),
          .age_ms = json_number(flow, "age_ms")};
}

TopTraffic traffic_of(const json& row) {
  return {.key = json_text(row, "key", ""),
          .connections = json_number(row, "connections"),
          .up = json_number(row, "client_bytes"),
          .down = json_number(row, "server_bytes")};
}

const char* kind_of(TopView view) {
  switch (view) {
    case TopView::names:
      return "name";
    case TopView::sources:
      return "source";
    case TopView::backends:
      return "backend";
    default:
      return "route";
  }
}

}  // namespace

Result<TopSample> top_fetch(const std::string& socket, TopView view) {
  const auto status = control_call(socket, {{"command", "status"}});
  if (!status) return std::unexpected(status.error());
  const auto listeners = traffic(socket, "listener");
  if (!listeners) return std::unexpected(listeners.error());
  TopSample sample{.at_ms = now_ms(),
                   .version = json_text(*status, "version", ""),
                   .state = json_text(*status, "state", ""),
                   .uptime_s = json_number(*status, "uptime_s"),
                   .living = json_number(*status, "connections"),
                   .accepted = json_number(json_member(*status, "totals"), "accepted"),
                   .view = view};
  add_totals(sample, *listeners);
  if (view == TopView::connections) {
    const auto flows = all_pages(socket, {{"command", "connections"}}, "connections");
    if (!flows) return std::unexpected(flows.error());
    for (const json& flow : *flows) sample.connections.push_back(connection_of(flow));
  } else {
    const auto answer = traffic(socket, kind_of(view));
    if (!answer) return std::unexpected(answer.error());
    for (const json& row : json_member(*answer, "rows")) sample.traffic.push_back(traffic_of(row));
  }
  return sample;
}

std::string top_kill(const std::string& socket, const TopKill& kill) {
  const auto result = control_call(socket, {{"command", "kill"}, {kill.member, kill.value}});
  if (!result) return result.error().what;
  return "killed " + std::to_string(json_number(*result, "killed"));
}

}  // namespace sni
