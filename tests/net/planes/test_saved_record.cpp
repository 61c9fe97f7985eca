#include "net/planes/saved_record.h"

#include <doctest/doctest.h>

#include <vector>

#include "bpf/packet/packet_splice.h"
#include "net/flow/ledger.h"

using namespace sni;

namespace {

constexpr std::uint64_t run = 42;

// Two listeners, and a route for "*.example.com" on the second.
struct Today {
  Config config;
  std::vector<std::shared_ptr<const ListenerConfig>> listeners;
  BackendTable backends;

  explicit Today(const std::string& name = "*.example.com") {
    config.listeners = {{.name = "other"}, {.name = "front"}};
    RouteConfig route;
    route.names = {name};
    route.backends.push_back({.text = "192.0.2.9:443"});
    route.listeners = {"front"};
    config.routes.push_back(std::move(route));
    for (const ListenerConfig& each : config.listeners) {
      listeners.push_back(std::make_shared<const ListenerConfig>(each));
    }
  }
  RouteTable routes() { return {config, backends}; }
};

FlowRecord record_of(const Today& today, const RouteTable& routes) {
  FlowRecord record{.serial = 7,
                    .started_ms = 1234,
                    .client = *parse_endpoint("[2001:db8::7]:5000"),
                    .proxy = *parse_endpoint("192.0.2.1:6000"),
                    .listener = today.listeners[1],
                    .route = routes.find(1, "www.example.com", {}),
                    .server_name = "WWW.example.com",
                    .alpn = "h2",
                    .tls_version = 0x0304,
                    .ech = true,
                    .attempts = 2,
                    .resolve_ms = 3,
                    .connect_ms = 4};
  REQUIRE(record.route != nullptr);
  record.backend = &record.route->backends.front()->backend;
  record.backend_address = *parse_endpoint("192.0.2.9:443");
  return record;
}

SavedFlow saved_from(const FlowRecord& record) {
  SavedFlow flow = saved_flow(record, run);
  flow.client_key = make_packet_key(record.client, *parse_endpoint("[2001:db8::1]:443"));
  flow.backend_key = make_packet_key(record.backend_address, *parse_endpoint("192.0.2.2:40000"));
  return flow;
}

}  // namespace

TEST_CASE("a record that was saved says the same in the next process") {
  Today today;
  const RouteTable routes = today.routes();
  const FlowRecord before = record_of(today, routes);
  const FlowRecord after = restored_record(saved_from(before), routes, today.listeners);
  CHECK(after.client == before.client);
  CHECK(after.peer() == before.proxy);
  CHECK(!after.is_of_proxy());
  CHECK(after.listener == today.listeners[1]);
  CHECK(after.route == before.route);
  CHECK(after.server_name == before.server_name);
  CHECK(after.alpn == before.alpn);
  CHECK(after.tls_version == before.tls_version);
  CHECK(after.ech);
  CHECK(after.started_ms == before.started_ms);
  CHECK(after.attempts == before.attempts);
  CHECK(after.resolve_ms == before.resolve_ms);
  CHECK(after.connect_ms == before.connect_ms);
  CHECK(backend_of(after) == backend_of(before));
  CHECK(after.backend == before.backend);
  REQUIRE(after.earlier != nullptr);
  CHECK(after.earlier->run == run);
  CHECK(after.earlier->serial == before.serial);
}

TEST_CASE("a route that has gone leaves the record without one, and its backend's name as it was") {
  Today today;
  const RouteTable routes = today.routes();
  const SavedFlow saved = saved_from(record_of(today, routes));
  Today changed("www.example.com");
  const FlowRecord after = restored_record(saved, changed.routes(), changed.listeners);
  CHECK(after.route == nullptr);
  CHECK(backend_of(after) == "192.0.2.9:443");
}

TEST_CASE("a listener that has gone is still named") {
  Today today;
  const RouteTable routes = today.routes();
  const SavedFlow saved = saved_from(record_of(today, routes));
  const FlowRecord after = restored_record(saved, routes, {});
  REQUIRE(after.listener != nullptr);
  CHECK(after.listener->name == "front");
  CHECK(after.listener->address == *parse_endpoint("[2001:db8::1]:443"));
  CHECK(after.route == nullptr);
}

TEST_CASE("a name that is none finds the route of clients without one") {
  Today today("*");
  const RouteTable routes = today.routes();
  FlowRecord before = record_of(today, routes);
  before.server_name = "not a name:443";
  const FlowRecord after = restored_record(saved_from(before), routes, today.listeners);
  CHECK(after.server_name == before.server_name);
  CHECK(after.route == before.route);
}

TEST_CASE(
    "a route by a long expression is found again, and a backend that it no longer has is not") {
  Today today("/" + std::string(1000, 'a') + "|www\\.example\\.com/");
  const RouteTable routes = today.routes();
  const SavedFlow saved = saved_from(record_of(today, routes));
  const FlowRecord after = restored_record(saved, routes, today.listeners);
  CHECK(after.route == routes.routes()[0]);
  CHECK(after.backend == &after.route->backends.front()->backend);
  today.config.routes[0].backends[0].text = "192.0.2.10:443";
  const RouteTable changed = today.routes();
  const FlowRecord moved = restored_record(saved, changed, today.listeners);
  CHECK(moved.route == changed.routes()[0]);
  CHECK(moved.backend == nullptr);
  CHECK(backend_of(moved) == "192.0.2.9:443");
}

TEST_CASE("a flow that was taken over counts at its backend and its route until its end") {
  Today today;
  today.config.routes[0].connections = 1;
  const RouteTable routes = today.routes();
  CHECK(routes.bound_connections(today.backends));
  const SavedFlow saved = saved_from(record_of(today, routes));
  const Route& route = *routes.routes()[0];
  {
    Flow flow{.record = restored_record(saved, routes, today.listeners)};
    take_places(flow);
    CHECK(route.backends[0]->connections == 1);
    CHECK(route.load->count().connections == 1);
  }
  CHECK(route.backends[0]->connections == 0);
  CHECK(route.load->count().connections == 0);
}
