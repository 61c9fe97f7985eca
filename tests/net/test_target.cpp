#include "net/target.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string_view>
#include <vector>

#include "core/backend.h"

using namespace sni;

namespace {

using Next = TargetList::Next;

IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}
Endpoint endpoint(std::string_view text) {
  return parse_endpoint(text).value();
}

Resolution addresses(std::initializer_list<std::string_view> texts) {
  Resolution resolution;
  for (const auto text : texts) resolution.addresses[resolution.count++] = ip(text);
  return resolution;
}

RouteConfig route_to(std::initializer_list<std::string_view> backends) {
  RouteConfig route;
  for (const auto text : backends) {
    auto backend = parse_backend(text);
    REQUIRE(backend);
    route.backends.push_back(std::move(*backend));
  }
  return route;
}

// A proxy that listens on 192.0.2.1:443 of the own address 192.0.2.1.
Snapshot here() {
  return {.config = {},
          .routes = RouteTable(Config{}),
          .access = {},
          .listeners = {{.endpoint = endpoint("192.0.2.1:443")}},
          .own_addresses = {ip("192.0.2.1")},
          .system_names = nullptr};
}

}  // namespace

TEST_CASE("backends come in their order, each once") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"10.0.0.1:443", "unix:/run/app.sock", "[2001:db8::5]:8443"});
  TargetList targets;
  targets.start(route, "");
  CHECK(targets.next(snapshot) == Next::endpoint);
  CHECK(targets.endpoint() == endpoint("10.0.0.1:443"));
  CHECK(targets.next(snapshot) == Next::unix_path);
  CHECK(targets.path() == "/run/app.sock");
  CHECK(targets.next(snapshot) == Next::endpoint);
  CHECK(targets.endpoint() == endpoint("[2001:db8::5]:8443"));
  CHECK(targets.next(snapshot) == Next::exhausted);
  CHECK(targets.why() == EndReason::unreachable);
}

TEST_CASE("a name is asked for when its turn comes, then all its addresses are tried") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"app.example:8443", "10.0.0.1:443"});
  TargetList targets;
  targets.start(route, "");
  REQUIRE(targets.next(snapshot) == Next::name);
  CHECK(targets.name() == "app.example");
  CHECK(targets.name_is_configured());
  targets.resolved(addresses({"10.0.0.7", "2001:db8::7"}));
  CHECK(targets.next(snapshot) == Next::endpoint);
  CHECK(targets.endpoint() == endpoint("10.0.0.7:8443"));
  CHECK(targets.next(snapshot) == Next::endpoint);
  CHECK(targets.endpoint() == endpoint("[2001:db8::7]:8443"));
  CHECK(targets.next(snapshot) == Next::endpoint);
  CHECK(targets.endpoint() == endpoint("10.0.0.1:443"));
}

TEST_CASE("addresses of one name are not taken for those of the next") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"a.example:1", "b.example:2"});
  TargetList targets;
  targets.start(route, "");
  REQUIRE(targets.next(snapshot) == Next::name);
  targets.resolved(addresses({"10.0.0.1"}));
  REQUIRE(targets.next(snapshot) == Next::endpoint);
  REQUIRE(targets.next(snapshot) == Next::name);
  CHECK(targets.name() == "b.example");
  // No answer in time: the next target is asked for without one.
  CHECK(targets.next(snapshot) == Next::exhausted);
}

TEST_CASE("a name without addresses leaves the connection unresolved, unless another one answers") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"app.example:8443"});
  TargetList targets;
  targets.start(route, "");
  REQUIRE(targets.next(snapshot) == Next::name);
  targets.resolved({});
  CHECK(targets.next(snapshot) == Next::exhausted);
  CHECK(targets.why() == EndReason::unresolved);
}

TEST_CASE("the last failure is why the list is exhausted") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"app.example:8443", "10.0.0.1:443"});
  TargetList targets;
  targets.start(route, "");
  REQUIRE(targets.next(snapshot) == Next::name);
  targets.resolved({});
  REQUIRE(targets.next(snapshot) == Next::endpoint);
  targets.failed(EndReason::connect_timeout);
  CHECK(targets.next(snapshot) == Next::exhausted);
  CHECK(targets.why() == EndReason::connect_timeout);
}

TEST_CASE("the proxy's own listener is no target, whichever way it is found") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"192.0.2.1:443", "app.example:443"});
  TargetList targets;
  targets.start(route, "");
  REQUIRE(targets.next(snapshot) == Next::name);
  targets.resolved(addresses({"192.0.2.1"}));
  CHECK(targets.next(snapshot) == Next::exhausted);
  CHECK(targets.why() == EndReason::forbidden);
}

TEST_CASE("a dynamic route asks for the client's name, and connects to global addresses only") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"{name}:443"});
  TargetList targets;
  targets.start(route, "www.example");
  REQUIRE(targets.next(snapshot) == Next::name);
  CHECK(targets.name() == "www.example");
  CHECK_FALSE(targets.name_is_configured());
  targets.resolved(addresses({"10.0.0.1", "127.0.0.1", "8.8.8.8", "169.254.1.1"}));
  CHECK(targets.next(snapshot) == Next::endpoint);
  CHECK(targets.endpoint() == endpoint("8.8.8.8:443"));
  CHECK(targets.next(snapshot) == Next::exhausted);
  CHECK(targets.why() == EndReason::forbidden);
}

TEST_CASE("a dynamic route that allows private addresses connects to them") {
  const Snapshot snapshot = here();
  RouteConfig route = route_to({"{name}:443"});
  route.allow_private = true;
  TargetList targets;
  targets.start(route, "www.example");
  REQUIRE(targets.next(snapshot) == Next::name);
  targets.resolved(addresses({"10.0.0.1"}));
  CHECK(targets.next(snapshot) == Next::endpoint);
}

TEST_CASE("a dynamic route has nothing for a client that names nobody") {
  const Snapshot snapshot = here();
  const RouteConfig route = route_to({"{name}:443"});
  TargetList targets;
  targets.start(route, "");
  CHECK(targets.next(snapshot) == Next::exhausted);
  CHECK(targets.why() == EndReason::no_route);
}
