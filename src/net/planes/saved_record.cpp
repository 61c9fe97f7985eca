#include "net/planes/saved_record.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "bpf/packet/packet_splice.h"
#include "core/hello/server_name.h"
#include "net/flow/ledger.h"

namespace sni {
namespace {

// The offered protocol as a ProtocolNameList (RFC 7301 3.1).
std::vector<std::uint8_t> alpn_list(std::string_view protocol) {
  std::vector<std::uint8_t> list;
  if (protocol.empty()) return list;
  list.push_back(static_cast<std::uint8_t>(protocol.size()));
  list.insert(list.end(), protocol.begin(), protocol.end());
  return list;
}

// A regular expression may be too long for the record.
std::string_view route_text(const Route& route) {
  return std::string_view(route.config.names.front()).substr(0, limits::server_name_max);
}

RouteRef route_of(const SavedFlow& flow, const RouteTable& routes, std::uint32_t listener) {
  const std::string_view said = flow.text(SavedText::server_name);
  std::array<char, limits::server_name_max> name{};
  const std::size_t length = canonical_server_name(said, name).value_or(0);
  const std::vector<std::uint8_t> alpn = alpn_list(flow.text(SavedText::alpn));
  RouteRef found = routes.find(listener, {name.data(), length}, alpn);
  if (found == nullptr || route_text(*found) != flow.text(SavedText::route)) return {};
  return found;
}

const Backend* backend_of(const SavedFlow& flow, const RouteRef& route) {
  if (route == nullptr) return nullptr;
  const std::string_view text = flow.text(SavedText::configured_name);
  const auto found = std::ranges::find_if(
      route->backends, [&](const BackendRef& each) { return each->backend.text == text; });
  return found == route->backends.end() ? nullptr : &(*found)->backend;
}

}  // namespace

SavedFlow saved_flow(const FlowRecord& record, std::uint64_t run) {
  SavedFlow flow{.client = saved(record.client),
                 .proxy = saved(record.proxy),
                 .run = run,
                 .serial = record.serial,
                 .started_ms = record.started_ms,
                 .resolve_ms = record.resolve_ms,
                 .connect_ms = record.connect_ms,
                 .attempts = record.attempts,
                 .tls_version = record.tls_version,
                 .ech = record.ech ? 1U : 0U};
  const std::string backend = sni::backend_of(record);
  const std::array<std::string_view, saved_texts> texts{
      record.server_name,
      record.alpn,
      record.route == nullptr ? std::string_view() : route_text(*record.route),
      record.listener->name,
      backend,
      record.backend == nullptr ? std::string_view() : record.backend->text};
  flow.set_texts(texts);
  return flow;
}

FlowRecord restored_record(const SavedFlow& flow, const RouteTable& routes,
                           std::span<const std::shared_ptr<const ListenerConfig>> listeners) {
  const auto known = std::ranges::find_if(
      listeners, [&](const auto& each) { return each->name == flow.text(SavedText::listener); });
  FlowRecord record{.started_ms = flow.started_ms,
                    .client = restored(flow.client),
                    .proxy = restored(flow.proxy),
                    .listener = nullptr,
                    .route = nullptr,
                    .server_name = std::string(flow.text(SavedText::server_name)),
                    .alpn = std::string(flow.text(SavedText::alpn)),
                    .tls_version = flow.tls_version,
                    .ech = flow.ech != 0,
                    .backend_address = packet_source(flow.backend_key),
                    .attempts = flow.attempts,
                    .resolve_ms = flow.resolve_ms,
                    .connect_ms = flow.connect_ms,
                    .earlier = std::make_shared<const Predecessor>(
                        Predecessor{.run = flow.run,
                                    .serial = flow.serial,
                                    .backend = std::string(flow.text(SavedText::backend))})};
  if (known == listeners.end()) {
    ListenerConfig gone;
    gone.name = flow.text(SavedText::listener);
    gone.address = packet_target(flow.client_key);
    record.listener = std::make_shared<const ListenerConfig>(std::move(gone));
    return record;
  }
  record.listener = *known;
  record.route = route_of(flow, routes, static_cast<std::uint32_t>(known - listeners.begin()));
  record.backend = backend_of(flow, record.route);
  return record;
}

}  // namespace sni
