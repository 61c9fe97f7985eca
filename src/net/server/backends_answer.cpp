#include "net/server/backends_answer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/limits.h"
#include "net/interface_index.h"

namespace sni {
namespace {

using nlohmann::json;

const char* board_state(const EndpointBoard& board, EndpointBoard::Id id) {
  if (board.is_held(id)) return "down";
  return board.is_out(id) ? "out" : "up";
}

json health_of(const HealthSummary& health) {
  return {{"check", health.check},
          {"up", health.up},
          {"known", health.known},
          {"reason", health.reason}};
}

json addresses_of(const HealthSummary& health, const EndpointBoard& board) {
  json list = json::array();
  for (const auto& each : health.addresses) {
    list.push_back({{"address", each.endpoint.to_string(interface_name)},
                    {"state", board_state(board, each.id)}});
  }
  return list;
}

// null: a name, each of whose addresses has its own state.
json state_of(const BackendEntry& entry, const EndpointBoard& board) {
  if (entry.disabled.load(std::memory_order_relaxed)) return "disabled";
  switch (entry.backend.kind) {
    case Backend::Kind::address:
      return board_state(board, board.id_of(entry.backend.endpoint));
    case Backend::Kind::unix_path:
      return board_state(board, board.id_of(entry.backend.host));
    case Backend::Kind::name:
    case Backend::Kind::requested_name:
    case Backend::Kind::captured_name:
    case Backend::Kind::service:
      break;
  }
  return nullptr;
}

}  // namespace

nlohmann::json backends_answer(const BackendTable& backends, const EndpointBoard& board,
                               std::size_t from, const HealthProber* health) {
  const std::vector<BackendRef> named = backends.named();
  const std::size_t begin = std::min(from, named.size());
  const std::size_t end = std::min(begin + limits::control_page_entries, named.size());
  json list = json::array();
  for (std::size_t i = begin; i < end; ++i) {
    const BackendEntry& entry = *named[i];
    const auto checked = health == nullptr ? std::nullopt : health->summary(entry.id);
    list.push_back({{"id", entry.id},
                    {"backend", entry.backend.text},
                    {"state", state_of(entry, board)},
                    {"connections", entry.connections.load(std::memory_order_relaxed)},
                    {"max_connections", entry.connections_max.load(std::memory_order_relaxed)},
                    {"queued", entry.waiting.load(std::memory_order_relaxed)},
                    {"health", checked ? health_of(*checked) : json()},
                    {"addresses", checked ? addresses_of(*checked, board) : json::array()}});
  }
  return {{"backends", std::move(list)}, {"next", end < named.size() ? json(end) : json()}};
}

Switched switch_backends(const BackendTable& backends, std::string_view text, bool disabled) {
  Switched switched;
  for (const BackendRef& entry : backends.named()) {
    if (entry->backend.text != text) continue;
    ++switched.found;
    if (entry->disabled.exchange(disabled, std::memory_order_relaxed) != disabled) {
      ++switched.changed;
      // Connections that wait for it were skipped so far.
      if (!disabled) entry->queue.serve(*entry);
    }
  }
  return switched;
}

}  // namespace sni
