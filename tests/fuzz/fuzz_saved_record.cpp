// Any bytes as a pinned flow, as an earlier or a broken process may have left them: never a crash,
// and a record that is the same once it is saved and restored again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/property.h"
#include "net/flow/ledger.h"
#include "net/planes/saved_record.h"

using namespace sni;
using sni::test::require;

namespace {

// What the process that reads the flow has: routes by name, by protocol and by expression.
struct Today {
  Config config;
  std::vector<std::shared_ptr<const ListenerConfig>> listeners;
  BackendTable backends;
  std::unique_ptr<RouteTable> routes;

  Today() {
    config.listeners = {{.name = "other"}, {.name = "front"}};
    add_route("*.example.com", {});
    add_route("www.example.com", {"h2"});
    add_route("/www[0-9]+\\.example\\.net/", {});
    add_route("*", {});
    for (const ListenerConfig& each : config.listeners) {
      listeners.push_back(std::make_shared<const ListenerConfig>(each));
    }
    routes = std::make_unique<RouteTable>(config, backends);
  }
  void add_route(std::string name, std::vector<std::string> alpn) {
    RouteConfig route;
    route.names = {std::move(name)};
    route.alpn = std::move(alpn);
    route.backends = {{.text = "192.0.2.9:443"}, {.text = "b.example:443"}};
    route.listeners = {"front"};
    config.routes.push_back(std::move(route));
  }
};

// Hostile ends make texts overlap, and then not all of them have room when they are written.
bool has_room(const SavedFlow& flow) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < saved_texts; ++i) sum += flow.text(static_cast<SavedText>(i)).size();
  return sum <= flow.bytes.size();
}

void require_same(const FlowRecord& a, const FlowRecord& b) {
  require(a.client == b.client && a.proxy == b.proxy, "addresses of clients stay");
  require(a.backend_address == b.backend_address, "the backend's address stays");
  require(a.listener->name == b.listener->name, "the listener stays");
  require(a.route == b.route && a.backend == b.backend, "route and backend stay");
  require(a.server_name == b.server_name && a.alpn == b.alpn, "the hello stays");
  require(a.tls_version == b.tls_version && a.ech == b.ech, "the version stays");
  require(a.started_ms == b.started_ms && a.resolve_ms == b.resolve_ms &&
              a.connect_ms == b.connect_ms && a.attempts == b.attempts,
          "times and tries stay");
  require(backend_of(a) == backend_of(b), "the backend's name stays");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Today today;
  SavedFlow flow;
  std::memcpy(static_cast<void*>(&flow), data, std::min(size, sizeof flow));
  const FlowRecord record = restored_record(flow, *today.routes, today.listeners);
  require(record.listener != nullptr, "a record has a listener");
  require(record.backend == nullptr || record.route != nullptr, "a backend is that of a route");
  if (!has_room(flow)) return 0;
  SavedFlow written = saved_flow(record, flow.run);
  written.client_key = flow.client_key;
  written.backend_key = flow.backend_key;
  require_same(record, restored_record(written, *today.routes, today.listeners));
  return 0;
}
