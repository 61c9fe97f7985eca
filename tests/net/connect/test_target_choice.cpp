// Which backend comes next: balancing, backups, and what is out.

#include <doctest/doctest.h>

#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/tries.h"

using namespace sni;
using namespace sni::test;

TEST_CASE(
    "endpoints that refuse, reset or have no file are put off, failures of this host are not") {
  for (const int error : {ECONNREFUSED, ECONNRESET, ENOENT, EHOSTUNREACH, ENETUNREACH, EMFILE,
                          EADDRNOTAVAIL, EACCES}) {
    CAPTURE(error);
    const bool out =
        error == ECONNREFUSED || error == ECONNRESET || error == ENOENT || error == EHOSTUNREACH;
    Tries tries({"10.0.0.1:443", "10.0.0.2:443"}, "");
    REQUIRE(tries.next() == Next::endpoint);
    tries.ended(error);
    TargetList later;
    later.start(tries.route, "", {});
    REQUIRE(later.next(tries.policy, tries.context()) == Next::endpoint);
    CHECK(later.target().backend == (out ? 1 : 0));
  }
}

TEST_CASE("a target that another one outran is out, and says nothing of the connection") {
  Tries tries({"10.0.0.1:443", "10.0.0.2:443"}, "");
  REQUIRE(tries.next() == Next::endpoint);
  const Target slow = tries.targets.target();
  REQUIRE(tries.next() == Next::endpoint);
  tries.ended(0);
  tries.targets.outrun(slow, 250, /*reached=*/false, tries.context());
  CHECK(tries.latest().text == "10.0.0.2:443");
  CHECK(tries.targets.error() == AttemptError::none);
  TargetList later;
  later.start(tries.route, "", {});
  REQUIRE(later.next(tries.policy, tries.context()) == Next::endpoint);
  CHECK(later.target().backend == 1);
}

TEST_CASE("of targets that are tried at once each failure stays with its own") {
  Tries tries({"10.0.0.1:443", "10.0.0.2:443"}, "");
  REQUIRE(tries.next() == Next::endpoint);
  const Target first = tries.targets.target();
  REQUIRE(tries.next() == Next::endpoint);
  const Target second = tries.targets.target();
  tries.ended(second, ECONNREFUSED);
  CHECK(tries.latest().text == "10.0.0.2:443");
  CHECK(tries.targets.error() == AttemptError::refused);
  tries.ended(first, EHOSTUNREACH);
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.latest().text == "10.0.0.1:443");
  CHECK(tries.targets.error() == AttemptError::host_unreachable);
}

TEST_CASE("every backend that is no backup is tried before the first that is") {
  RouteConfig config;
  config.names = {"a.example"};
  for (const auto* text : {"10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443", "10.0.0.4:443"}) {
    config.backends.push_back(*parse_backend(text));
  }
  config.backends[0].backup = config.backends[2].backup = true;
  for (const Balance balance : {Balance::first, Balance::round_robin, Balance::least_connections,
                                Balance::random_two, Balance::source_hash}) {
    config.balance = balance;
    BackendTable table;
    Tries tries({"10.0.0.9:443"}, "");
    tries.route = make_route(config, table);
    for (std::uint64_t client = 0; client < 20; ++client) {
      TargetList targets;
      targets.start(tries.route, "", {.random = client * 0x9e3779b97f4a7c15, .source = client});
      std::vector<std::string> tried;
      while (targets.next(tries.policy, tries.context()) == Next::endpoint) {
        tried.push_back(targets.target().endpoint.to_string());
      }
      REQUIRE(tried.size() == 4);
      const std::set<std::string> primaries(tried.begin(), tried.begin() + 2);
      CHECK(primaries == std::set<std::string>{"10.0.0.2:443", "10.0.0.4:443"});
    }
  }
}

TEST_CASE("a backend disabled by command is skipped, whatever the policy") {
  for (const Balance balance : {Balance::first, Balance::round_robin, Balance::source_hash}) {
    Tries tries({"10.0.0.9:443"}, "");
    tries.route = route_to({"10.0.0.1:443", "10.0.0.2:443"}, balance);
    tries.route.backends.front()->disabled = true;
    for (std::uint64_t client = 0; client < 8; ++client) {
      TargetList targets;
      targets.start(tries.route, "", {.random = client, .source = client});
      REQUIRE(targets.next(tries.policy, tries.context()) == Next::endpoint);
      CHECK(targets.target().endpoint == endpoint("10.0.0.2:443"));
      CHECK(targets.next(tries.policy, tries.context()) == Next::exhausted);
    }
    tries.route.backends.back()->disabled = true;
    TargetList none;
    none.start(tries.route, "", {});
    CHECK(none.next(tries.policy, tries.context()) == Next::exhausted);
    CHECK(none.error() == AttemptError::disabled);
    CHECK(none.why() == EndReason::unreachable);
  }
}

TEST_CASE("a lease counts at the backend and at the address of its name, and ends both counts") {
  Tries tries({"10.0.0.9:443"}, "");
  tries.route = route_to({"app.example:443", "10.0.0.1:443"}, Balance::least_connections);
  const BackendEntry& entry = *tries.route.backends.front();
  REQUIRE(entry.addresses.load() != nullptr);
  CHECK(tries.route.backends.back()->addresses.load() == nullptr);
  {
    const Target target{.endpoint = endpoint("10.0.0.7:443"), .backend = 0};
    TargetList targets;
    targets.start(tries.route, "", {});
    const BackendLease lease = targets.lease(target);
    CHECK(entry.connections == 1);
    CHECK(entry.addresses.load()->count(ip("10.0.0.7")) == 1);
  }
  CHECK(entry.connections == 0);
  CHECK(entry.addresses.load()->count(ip("10.0.0.7")) == 0);
}

TEST_CASE("by least_connections a connection begins with the address that has the fewest") {
  Tries tries({"10.0.0.9:443"}, "");
  tries.route = route_to({"app.example:443"}, Balance::least_connections);
  std::vector<BackendLease> held;
  std::map<std::string, int> begun;
  for (std::uint64_t client = 0; client < 40; ++client) {
    TargetList targets;
    targets.start(tries.route, "", {.random = client * 0x9e3779b97f4a7c15});
    REQUIRE(targets.next(tries.policy, tries.context()) == Next::name);
    targets.resolved(addresses({"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}));
    REQUIRE(targets.next(tries.policy, tries.context()) == Next::endpoint);
    held.push_back(targets.lease(targets.target()));
    ++begun[targets.target().endpoint.to_string()];
  }
  for (const auto& [address, count] : begun) CHECK(count == 10);
}

TEST_CASE("the targets of a service are resolved in their order, each with its port") {
  Tries tries({"srv:_https._tcp.example", "10.0.0.9:9"}, "");
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "srv:_https._tcp.example");
  tries.targets.resolved(
      Resolution::of_service({{.host = "second.example.", .port = 2, .priority = 5},
                              {.host = "first.example.", .port = 1, .priority = 1},
                              {.host = "gone.example.", .port = 3, .priority = 3}}));
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "first.example.");
  tries.targets.resolved(addresses({"192.0.2.10", "192.0.2.11"}));
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint.port == 1);
  tries.ended(ECONNREFUSED);
  REQUIRE(tries.next() == Next::endpoint);
  tries.ended(ECONNREFUSED);
  CHECK(tries.targets.has_more());
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "gone.example.");
  tries.targets.resolved({.status = Resolution::Status::not_found});
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "second.example.");
  tries.targets.resolved(addresses({"192.0.2.20"}));
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("192.0.2.20:2"));
  tries.ended(EHOSTUNREACH);
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("10.0.0.9:9"));
}

TEST_CASE("a service that is not there, or leads to the proxy itself, is passed over") {
  Tries tries({"srv:_https._tcp.example", "10.0.0.9:9"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(Resolution::of_service({}));
  CHECK(tries.targets.error() == AttemptError::name_unknown);
  REQUIRE(tries.next() == Next::endpoint);
  Tries looping({"srv:_https._tcp.example"}, "");
  REQUIRE(looping.next() == Next::name);
  looping.targets.resolved(Resolution::of_service({{.host = "self.example.", .port = 443}}));
  REQUIRE(looping.next() == Next::name);
  looping.targets.resolved(addresses({"192.0.2.1"}));
  CHECK(looping.next() == Next::exhausted);
  CHECK(looping.targets.why() == EndReason::forbidden);
}

TEST_CASE("the groups of an expression make the name, which is the client's") {
  BackendTable table;
  RouteConfig config;
  config.names = {R"(/(\w+)\.apps\.example/)"};
  config.backends = {*parse_backend(R"(\1.internal:443)")};
  Tries tries({"10.0.0.9:9"}, "");
  tries.route = make_route(config, table);
  tries.targets.start(tries.route, "web.apps.example", {});
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "web.internal");
  CHECK_FALSE(tries.targets.name_is_configured());
  tries.targets.resolved(addresses({"10.0.0.1", "8.8.8.8"}));
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("8.8.8.8:443"));
}
