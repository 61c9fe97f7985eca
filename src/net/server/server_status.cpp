// `status`: the state of the process, gathered from its workers.
//
//   {"command": "status"}
//     -> {"version": "0.2.0", "pid": 1, "state": "serving" | "draining", "uptime_s": 42,
//         "config": {"path": ..., "loaded": "2026-01-01T00:00:00Z"},
//         "listeners": [{"name": ..., "address": ..., "protocol": ...}, ...],
//         "planes": {"used": "packet plane", "missing": ["sockhash: ...", ...]},
//         "guard": {"addresses": 3, "prefixes": 1, "bans": 0,
//                   "xdp": {"interfaces": [{"name": "eth0", "mode": "native", "reason": ""}, ...],
//                           "missing": ""}},
//         "descriptors": {"open": 31, "limit": 1048576},
//         "connections": 3, "relayed": 1, "relayed_max": 9000,
//         "workers": [{"number": 0, "connections": 3}, {"number": 1, "connections": null}],
//         "totals": {"accepted": 5, "ended": {"done": 2, ...}, ...}}
//
// planes: in words; `missing` is filled if fast_path.mode is "auto". relayed: the connections whose
// sockets the proxy has; those of the packet plane have none.
//
// guard: addresses and prefixes of lists and commands, and the bans that hold. An interface without
// XDP has the mode null; `missing` says why none has it.
//
// connections: null for a worker that did not answer in time, or has ended.

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "net/interface_index.h"
#include "net/server/descriptor_budget.h"
#include "net/server/server.h"

namespace sni {

namespace {

using nlohmann::json;

std::string utc(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[sizeof "2026-01-01T00:00:00Z"];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

json listed(const std::vector<ListenerConfig>& listeners) {
  json list = json::array();
  for (const ListenerConfig& listener : listeners) {
    list.push_back({{"name", listener.name},
                    {"address", listener.address.to_string(interface_name)},
                    {"protocol", listener.protocol == Protocol::tls ? "tls" : "http"}});
  }
  return list;
}

json guard_object(const Guard& guard) {
  const Admission& admission = guard.admission();
  json interfaces = json::array();
  if (guard.xdp()) {
    for (const XdpGuard::Place& place : guard.xdp()->places()) {
      interfaces.push_back({{"name", place.interface},
                            {"mode", place.mode == nullptr ? json() : json(place.mode)},
                            {"reason", place.reason}});
    }
  }
  return {{"addresses", admission.list().addresses().size()},
          {"prefixes", admission.list().rules().size()},
          {"bans", admission.bans().live(guard_now()).size()},
          {"xdp", {{"interfaces", interfaces}, {"missing", guard.xdp_missing()}}}};
}

json totals_object(const std::vector<Total>& totals) {
  json counts = json::object();
  for (const auto& [name, reason, value] : totals) {
    json& place = counts[std::string(name)];
    (reason.empty() ? place : place[std::string(reason)]) = value;
  }
  return counts;
}

}  // namespace

json Server::status() const {
  const auto uptime =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
  return {
      {"version", version_},
      {"pid", getpid()},
      {"state", draining_ ? "draining" : "serving"},
      {"uptime_s", uptime.count()},
      {"config", {{"path", config_path_}, {"loaded", utc(loaded_at_)}}},
      {"listeners", draining_ ? json::array() : listed(snapshot_->config.listeners)},
      {"planes", {{"used", in_words(shared_.fast_path)}, {"missing", shared_.fast_path.missing}}},
      {"guard", guard_object(*guard_)},
      {"descriptors", {{"open", open_descriptors()}, {"limit", descriptor_limit()}}},
      {"connections", shared_.connections.load(std::memory_order_relaxed)},
      {"relayed", shared_.relayed.load(std::memory_order_relaxed)},
      {"relayed_max", snapshot_->settings->relayed_max},
      {"totals", counted_totals()}};
}

json Server::counted_totals() const {
  return totals_object(totals());
}

std::vector<Total> Server::totals() const {
  std::vector<const Counters*> counters;
  for (const auto& worker : workers_) counters.push_back(&worker->counters());
  std::vector<Total> rows = sni::totals(counters);
  add_kernel_totals(shared_.fast_path, rows);
  return rows;
}

}  // namespace sni
