#include "core/health/health_plan.h"

#include <doctest/doctest.h>

#include "core/route/backend.h"

using namespace sni;

namespace {

RouteConfig route(std::vector<std::string> names, std::vector<std::string> backends,
                  std::string health) {
  RouteConfig config;
  config.names = std::move(names);
  for (const std::string& each : backends) config.backends.push_back(*parse_backend(each));
  config.listeners = {"https"};
  config.health = std::move(health);
  return config;
}

}  // namespace

TEST_CASE("each backend is checked once, as the first route says that has a check") {
  Config config;
  config.listeners = {{.name = "https"}};
  config.healths = {{.name = "slow"}, {.name = "fast"}};
  config.routes = {route({"a.example"}, {"10.0.0.1:443"}, ""),
                   route({"b.example"}, {"10.0.0.1:443", "{name}:443"}, "fast"),
                   route({"c.example"}, {"10.0.0.1:443", "unix:/run/c.sock"}, "slow")};
  config.routes[1].send_proxy.version = ProxyVersion::v2;
  BackendTable table;
  const RouteTable routes(config, table);
  const auto targets = health_targets(config, routes);
  REQUIRE(targets.size() == 2);
  CHECK(targets[0].backend->backend.text == "10.0.0.1:443");
  CHECK(targets[0].config.name == "fast");
  CHECK(targets[0].server_name == "b.example");
  CHECK(targets[0].send_proxy == ProxyVersion::v2);
  CHECK(targets[1].backend->backend.text == "unix:/run/c.sock");
  CHECK(targets[1].config.name == "slow");
}

TEST_CASE("a check uses an exact name of the route, or one of its wildcard if there is no other") {
  CHECK(name_to_ask_for(route({"*.a.example", "b.example"}, {}, "")) == "b.example");
  CHECK(name_to_ask_for(route({"*", "*.a.example"}, {}, "")) == "www.a.example");
  CHECK(name_to_ask_for(route({"*", "-"}, {}, "")).empty());
}

TEST_CASE("a check sends a backend a header without a client, in the form of its own send_proxy") {
  Config config;
  config.listeners = {{.name = "https"}};
  config.healths = {{.name = "h"}};
  config.routes = {route({"a.example"}, {"10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443"}, "h")};
  config.routes[0].send_proxy.version = ProxyVersion::v1;
  config.routes[0].backends[1].send_proxy = ProxyForm{.version = ProxyVersion::v2};
  config.routes[0].backends[2].send_proxy = ProxyForm{};
  BackendTable table;
  const auto targets = health_targets(config, RouteTable(config, table));
  REQUIRE(targets.size() == 3);
  CHECK(targets[0].send_proxy == ProxyVersion::v1);
  CHECK(targets[1].send_proxy == ProxyVersion::v2);
  CHECK(targets[2].send_proxy == ProxyVersion::none);
}
