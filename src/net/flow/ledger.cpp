#include "net/flow/ledger.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/session/access_line.h"
#include "net/interface_index.h"
#include "net/log.h"

namespace sni {

namespace {

// The target by its name, as a route for many names or an upstream is asked for it.
std::string named_backend(const FlowRecord& flow) {
  if (!flow.backend->is_of_client()) return flow.backend->text;
  const std::string host = flow.backend->kind == Backend::Kind::captured_name
                               ? flow.route->captured_host(*flow.backend, flow.server_name)
                               : flow.server_name;
  return host + ':' + std::to_string(flow.backend->port);
}

std::string line_of(const FlowRecord& flow, const FlowEnd& end, std::uint64_t run,
                    std::uint64_t now_ms) {
  const std::string backend = backend_of(flow);
  const bool told = flow.route != nullptr && flow.route->send_proxy(flow.backend).unique_id;
  const std::string unique_id = !told ? std::string()
                                : flow.earlier
                                    ? unique_flow_id(flow.earlier->run, flow.earlier->serial)
                                    : unique_flow_id(run, flow.serial);
  return access_line(
      {.client = flow.client,
       .proxy = flow.proxy,
       .listener = flow.listener->name,
       .server_name = flow.server_name,
       .alpn = flow.alpn,
       .tls_version = flow.tls_version,
       .ech = flow.ech,
       .route = flow.route == nullptr ? std::string_view() : flow.route->config.names.front(),
       .backend = backend,
       .upstream = flow.route == nullptr || flow.route->upstream == nullptr
                       ? std::string_view()
                       : flow.route->upstream->name,
       .attempts = flow.attempts,
       .resolve_ms = flow.resolve_ms,
       .queue_ms = flow.queue_ms,
       .connect_ms = flow.connect_ms,
       .client_bytes = end.to_backend,
       .server_bytes = end.to_client,
       .duration_ms = now_ms - flow.started_ms,
       .plane = to_string(flow.plane),
       .end = to_string(end.reason),
       .unique_id = unique_id,
       .error = flow.hello_error.empty() ? to_string(flow.error) : flow.hello_error},
      log_format(), interface_name);
}

}  // namespace

std::string backend_of(const FlowRecord& flow) {
  if (flow.earlier != nullptr) return flow.earlier->backend;
  if (flow.backend == nullptr) return {};
  // Without an address, only the name that the route has made says what was looked for.
  const bool only_named =
      flow.backend->kind == Backend::Kind::captured_name && flow.backend_address.port == 0;
  if (flow.route->upstream != nullptr || only_named) return named_backend(flow);
  return flow.backend_address.port != 0 ? flow.backend_address.to_string(interface_name)
                                        : flow.backend->text;
}

void take_route_place(Flow& flow) {
  const RouteRef& route = flow.record.route;
  if (route == nullptr || flow.route_place.is_counted()) return;
  if (route->load->connections_max() == 0) return;
  flow.route_place = RoutePlace::adopt(route->load->count());
}

void take_places(Flow& flow) {
  const RouteRef& route = flow.record.route;
  if (route == nullptr) return;
  take_route_place(flow);
  for (const BackendRef& each : route->backends) {
    if (&each->backend != flow.record.backend) continue;
    flow.lease = BackendLease(*each, flow.record.backend_address.ip);
  }
}

Flow& Ledger::open(FlowRecord record, Seat seat) {
  record.serial = next_serial_++;
  const std::uint32_t place = flows_.acquire();
  return flows_.emplace(place, Flow{.record = std::move(record),
                                    .seat = std::move(seat),
                                    .lease = {},
                                    .route_place = {},
                                    .place = place,
                                    .counted = {}});
}

void Ledger::begin(const Flow& flow, std::uint64_t now_ms) {
  if (!shared_.news.wanted()) return;
  news_.push_back({.record = flow.record, .end = {}, .at_ms = now_ms});
}

void Ledger::hand_over_lines() {
  lines_.hand_over();
  if (!news_.empty()) shared_.news.hand_over(news_);
}

// The bytes of an abandoned backend no longer count, so there may be fewer than before.
void Ledger::settle(Flow& flow, std::uint64_t to_backend, std::uint64_t to_client) {
  const TrafficCount& before = flow.counted;
  const TrafficCount now{.connections = 1,
                         .to_backend = std::max(to_backend, before.to_backend),
                         .to_client = std::max(to_client, before.to_client)};
  const PlaneId plane_before = std::exchange(flow.counted_plane, flow.record.plane);
  const bool new_on_plane = before.connections == 0 || plane_before != flow.record.plane;
  if (now == before && !new_on_plane) return;
  traffic_.add(flow.record,
               {.connections = now.connections - before.connections,
                .to_backend = now.to_backend - before.to_backend,
                .to_client = now.to_client - before.to_client},
               new_on_plane);
  flow.counted = now;
}

void Ledger::end(Flow& flow, const FlowEnd& end, LogGate& gate, std::uint64_t now_ms) {
  counters_.ended[static_cast<std::size_t>(end.reason)].add();
  counters_.bytes_to_backend.add(end.to_backend);
  counters_.bytes_to_client.add(end.to_client);
  counters_.life_times.add(now_ms - flow.record.started_ms);
  settle(flow, end.to_backend, end.to_client);
  if (is_bad_hello(end.reason) && !flow.record.is_of_proxy()) {
    shared_.admission.report(flow.record.client.ip, Conduct::bad_hello);
  }
  const bool reached = flow.record.plane != PlaneId::none;
  // Health probes connect and leave every few seconds.
  const bool wanted =
      end.reason == EndReason::nothing_sent ? debug_lines_wanted() : access_lines_wanted();
  const bool sampled = end.reason != EndReason::done || access_line_sampled(ended_well_++);
  if (wanted && sampled && (reached || gate.admit(now_ms))) {
    lines_.add(line_of(flow.record, end, shared_.run, now_ms));
  }
  if (shared_.news.wanted()) {
    news_.push_back({.record = flow.record, .end = end, .at_ms = now_ms});
  }
  flows_.free(flow.place);
}

}  // namespace sni
