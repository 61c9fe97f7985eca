#include "net/connect/target.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/route/backend.h"

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
struct Here {
  std::vector<ListenerEndpoint> listeners = {{.endpoint = endpoint("192.0.2.1:443")}};
  std::vector<IpAddress> own_addresses = {ip("192.0.2.1")};

  ForwardPolicy policy() const { return {.listeners = listeners, .own_addresses = own_addresses}; }
};

// A client that asked for `requested`, with the backends of its route.
struct Tries {
  Tries(std::initializer_list<std::string_view> backends, std::string_view requested)
      : route(route_to(backends)) {
    targets.start(route, requested);
  }
  Next next() { return targets.next(here.policy(), silent, now_ms); }

  Here here;
  RouteConfig route;
  SilentEndpoints silent;
  std::uint64_t now_ms = 1000;
  TargetList targets;
};

}  // namespace

TEST_CASE("backends come in their order, each once") {
  Tries tries({"10.0.0.1:443", "unix:/run/app.sock", "[2001:db8::5]:8443"}, "");
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.endpoint() == endpoint("10.0.0.1:443"));
  CHECK(tries.next() == Next::unix_path);
  CHECK(tries.targets.path() == "/run/app.sock");
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.endpoint() == endpoint("[2001:db8::5]:8443"));
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::unreachable);
}

TEST_CASE("a name is asked for when its turn comes, then all its addresses are tried") {
  Tries tries({"app.example:8443", "10.0.0.1:443"}, "");
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "app.example");
  CHECK(tries.targets.name_is_configured());
  tries.targets.resolved(addresses({"10.0.0.7", "2001:db8::7"}));
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.endpoint() == endpoint("10.0.0.7:8443"));
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.endpoint() == endpoint("[2001:db8::7]:8443"));
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.endpoint() == endpoint("10.0.0.1:443"));
}

TEST_CASE("addresses of one name are not taken for those of the next") {
  Tries tries({"a.example:1", "b.example:2"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"10.0.0.1"}));
  REQUIRE(tries.next() == Next::endpoint);
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "b.example");
  // No answer in time: the next target is asked for without one.
  CHECK(tries.next() == Next::exhausted);
}

TEST_CASE("a name without addresses leaves the connection unresolved, unless another one answers") {
  Tries tries({"app.example:8443"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved({});
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::unresolved);
}

TEST_CASE("the last failure is why the list is exhausted") {
  Tries tries({"app.example:8443", "10.0.0.1:443"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved({});
  REQUIRE(tries.next() == Next::endpoint);
  tries.targets.failed(EndReason::connect_timeout);
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::connect_timeout);
}

TEST_CASE("what has been silent is tried after all others, in the same order") {
  Tries tries({"10.0.0.1:443", "app.example:443", "unix:/run/app.sock"}, "");
  tries.silent.add(endpoint("10.0.0.1:443"), 0, tries.now_ms);
  tries.silent.add(endpoint("10.0.0.3:443"), 0, tries.now_ms);
  // Asked for once: what was put off is tried even where the name has got others meanwhile.
  auto resolution = addresses({"10.0.0.2", "10.0.0.3", "10.0.0.4"});
  std::vector<std::string> tried;
  for (Next next = tries.next(); next != Next::exhausted; next = tries.next()) {
    if (next == Next::name) tries.targets.resolved(std::exchange(resolution, {}));
    if (next == Next::endpoint) tried.push_back(tries.targets.endpoint().to_string());
    if (next == Next::unix_path) tried.emplace_back(tries.targets.path());
  }
  CHECK(tried == std::vector<std::string>{"10.0.0.2:443", "10.0.0.4:443", "/run/app.sock",
                                          "10.0.0.1:443", "10.0.0.3:443"});
}

TEST_CASE("the only target is tried although it has been silent") {
  for (const auto* backend : {"10.0.0.1:443", "app.example:443"}) {
    Tries tries({backend}, "");
    tries.silent.add(endpoint("10.0.0.1:443"), 0, tries.now_ms);
    Next next = tries.next();
    if (next == Next::name) {
      tries.targets.resolved(addresses({"10.0.0.1"}));
      next = tries.next();
    }
    CHECK(next == Next::endpoint);
    CHECK(&tries.targets.backend() == &tries.route.backends.front());
    tries.targets.failed(EndReason::connect_timeout);
    CHECK(tries.next() == Next::exhausted);
    CHECK(tries.targets.why() == EndReason::connect_timeout);
  }
}

TEST_CASE("what becomes silent while a connection tries it is not tried by that one again") {
  Tries tries({"10.0.0.1:443", "10.0.0.2:443"}, "");
  REQUIRE(tries.next() == Next::endpoint);
  tries.silent.add(endpoint("10.0.0.1:443"), 0, tries.now_ms);
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.endpoint() == endpoint("10.0.0.2:443"));
  CHECK(tries.next() == Next::exhausted);
}

TEST_CASE("what the policy forbids is not tried for having been silent") {
  Tries tries({"{name}:443"}, "www.example");
  tries.silent.add(endpoint("10.0.0.1:443"), 0, tries.now_ms);
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"10.0.0.1"}));
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::forbidden);
}

TEST_CASE("the proxy's own listener is no target, whichever way it is found") {
  Tries tries({"192.0.2.1:443", "app.example:443"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"192.0.2.1"}));
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::forbidden);
}

TEST_CASE("a dynamic route asks for the client's name, and connects to global addresses only") {
  Tries tries({"{name}:443"}, "www.example");
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "www.example");
  CHECK_FALSE(tries.targets.name_is_configured());
  tries.targets.resolved(addresses({"10.0.0.1", "127.0.0.1", "8.8.8.8", "169.254.1.1"}));
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.endpoint() == endpoint("8.8.8.8:443"));
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::forbidden);
}

TEST_CASE("a dynamic route that allows private addresses connects to them") {
  Tries tries({"{name}:443"}, "www.example");
  tries.route.allow_private = true;
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"10.0.0.1"}));
  CHECK(tries.next() == Next::endpoint);
}

TEST_CASE("a dynamic route has nothing for a client that names nobody") {
  Tries tries({"{name}:443"}, "");
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::no_route);
}
