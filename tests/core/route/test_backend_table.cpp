#include "core/route/backend_table.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "core/route/backend.h"
#include "core/route/route_table.h"

using namespace sni;

namespace {

Backend backend(const std::string& text) {
  return parse_backend(text).value();
}

}  // namespace

TEST_CASE("a backend has one entry as long as it is named") {
  BackendTable table;
  BackendRef first = table.intern(backend("10.0.0.1:443"));
  const BackendRef again = table.intern(backend("10.0.0.1:443"));
  const BackendRef other = table.intern(backend("10.0.0.1:444"));
  CHECK(first == again);
  CHECK(first != other);
  CHECK(first->id != other->id);
  CHECK(first->backend == backend("10.0.0.1:443"));
}

TEST_CASE("the id of a backend that is no longer named is not reused") {
  BackendTable table;
  const BackendId gone = table.intern(backend("10.0.0.1:443"))->id;
  CHECK(table.intern(backend("10.0.0.2:443"))->id != gone);
  CHECK(table.intern(backend("10.0.0.1:443"))->id != gone);
}

TEST_CASE("routes of one table and of the next one share their backends") {
  Config config;
  config.listeners = {{.name = "tls"}};
  for (const char* name : {"a.example", "b.example"}) {
    config.routes.push_back(
        {.names = {name}, .backends = {backend("app.example:443")}, .listeners = {"tls"}});
  }
  BackendTable backends;
  const RouteTable before(config, backends);
  const RouteTable after(config, backends);
  const BackendRef shared = before.find(0, "a.example", {})->backends.front();
  CHECK(before.find(0, "b.example", {})->backends.front() == shared);
  CHECK(after.find(0, "a.example", {})->backends.front() == shared);
}

TEST_CASE("reloads with ever new backends leave only those that are named") {
  BackendTable table;
  std::vector<BackendRef> kept;
  for (int reload = 0; reload < 1000; ++reload) {
    kept.assign(10, nullptr);
    for (int i = 0; i < 10; ++i) {
      kept[i] = table.intern(backend("10.0." + std::to_string(reload % 250) +
                                     ".1:" + std::to_string(1 + reload / 250 * 10 + i)));
    }
  }
  CHECK(table.size() <= 64);
}

TEST_CASE("a sweep forgets what nobody uses any more, and nothing else") {
  BackendTable backends;
  const BackendRef kept = backends.intern(backend("kept.example:443"));
  for (int i = 0; i < 10; ++i) backends.intern(backend("gone.example:" + std::to_string(1 + i)));
  CHECK(backends.size() == 11);
  backends.sweep();
  CHECK(backends.size() == 1);
  CHECK(backends.intern(backend("kept.example:443")) == kept);
}

TEST_CASE("a link-local backend whose interface has another index now is another one") {
  BackendTable table;
  Backend moved = backend("[fe80::1%2]:443");
  const BackendRef before = table.intern(moved);
  moved.endpoint.scope = 3;
  CHECK(table.intern(moved) != before);
}

TEST_CASE("a route that bounds its connections has one count over reloads, and only then") {
  Config config;
  config.listeners = {{.name = "tls"}};
  config.routes = {
      {.names = {"a.example"}, .backends = {backend("app.example:443")}, .listeners = {"tls"}}};
  BackendTable backends;
  const RouteTable unbounded(config, backends);
  const RouteLoad& load = *unbounded.find(0, "a.example", {})->load;
  CHECK_FALSE(unbounded.bound_connections(backends));
  CHECK(load.connections_max() == 0);
  config.routes[0].connections = 2;
  const RouteTable before(config, backends);
  CHECK(before.bound_connections(backends));
  CHECK(load.connections_max() == 2);
  config.routes[0].connections = 1;
  config.routes[0].backends = {backend("other.example:443")};
  const RouteTable after(config, backends);
  CHECK_FALSE(after.bound_connections(backends));
  CHECK(load.connections_max() == 1);
  CHECK(after.find(0, "a.example", {})->load.get() == &load);
  CHECK_FALSE(unbounded.bound_connections(backends));
  CHECK(load.connections_max() == 0);
  config.routes[0].alpn = {"h2"};
  CHECK(make_route(config.routes[0], backends).load != before.routes()[0]->load);
}

TEST_CASE("a place of a route is given back once, whoever owned it last") {
  RouteLoad::Count count;
  auto first = RoutePlace::take(count, 2);
  auto second = RoutePlace::take(count, 2);
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK_FALSE(RoutePlace::take(count, 2).has_value());
  RoutePlace kept = std::move(*first);
  first.reset();
  CHECK(count.connections == 2);
  kept = {};
  second.reset();
  CHECK(count.connections == 0);
}
