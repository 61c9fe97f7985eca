#include "net/control/flow_answer.h"

#include <nlohmann/json.hpp>

#include "core/session/access_line.h"
#include "core/session/flow_id.h"
#include "net/interface_index.h"

namespace sni {

namespace {

using nlohmann::json;

constexpr unsigned place_bits = 32;

// Uses the keys of the access line for the same values.
json described(const LiveFlow& flow) {
  return {{"id", flow_id(flow.serial)},
          {"client", flow.client.to_string(interface_name)},
          {"listener", flow.listener},
          {"server_name", escape_for_log(flow.server_name)},
          {"route", flow.route},
          {"backend", flow.backend},
          {"state", to_string(flow.progress.phase)},
          {"plane", to_string(flow.progress.plane)},
          {"client_bytes", flow.progress.to_backend},
          {"server_bytes", flow.progress.to_client},
          {"rate", flow.rate},
          {"age_ms", flow.age_ms},
          {"idle_ms", flow.progress.idle_ms}};
}

}  // namespace

FlowPosition flow_position(std::size_t number) {
  return {.worker = number >> place_bits, .place = static_cast<std::uint32_t>(number)};
}

std::size_t flow_position_number(FlowPosition position) {
  return (position.worker << place_bits) | position.place;
}

std::optional<FlowPosition> position_after(FlowPosition at, const FlowPage* page,
                                           std::size_t last_worker) {
  if (page != nullptr && page->next) return FlowPosition{.worker = at.worker, .place = *page->next};
  if (at.worker >= last_worker) return std::nullopt;
  return FlowPosition{.worker = at.worker + 1, .place = 0};
}

json followed_flow(const LiveFlow& flow) {
  json told = described(flow);
  for (const char* name : {"state", "rate", "idle_ms"}) told.erase(name);
  return told;
}

json flow_answer(const FlowPage& page, std::optional<FlowPosition> next) {
  json list = json::array();
  for (const LiveFlow& flow : page.flows) list.push_back(described(flow));
  return {{"connections", std::move(list)},
          {"next", next ? json(flow_position_number(*next)) : json()}};
}

}  // namespace sni
