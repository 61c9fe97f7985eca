#include "net/connect/target.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/tries.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("backends come in their order, each once") {
  Tries tries({"10.0.0.1:443", "unix:/run/app.sock", "[2001:db8::5]:8443"}, "");
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("10.0.0.1:443"));
  CHECK(tries.next() == Next::unix_path);
  CHECK(tries.targets.path() == "/run/app.sock");
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("[2001:db8::5]:8443"));
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
  CHECK(tries.targets.target().endpoint == endpoint("10.0.0.7:8443"));
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("[2001:db8::7]:8443"));
  CHECK(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("10.0.0.1:443"));
}

TEST_CASE("addresses of one name are not taken for those of the next") {
  Tries tries({"a.example:1", "b.example:2"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"10.0.0.1"}));
  REQUIRE(tries.next() == Next::endpoint);
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.name() == "b.example");
  // No answer in time: the next target is requested without one.
  CHECK(tries.next() == Next::exhausted);
}

TEST_CASE("a name without addresses leaves the connection unresolved, unless another one answers") {
  Tries tries({"app.example:8443"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved({});
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::unresolved);
}

TEST_CASE("the reason of a failure stays with its backend") {
  Tries tries({"10.0.0.1:443", "app.example:8443", "unix:/run/app.sock"}, "");
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.error() == AttemptError::none);
  tries.ended(ECONNREFUSED);
  CHECK(tries.latest().text == "10.0.0.1:443");
  CHECK(tries.targets.error() == AttemptError::refused);
  REQUIRE(tries.next() == Next::name);
  CHECK(tries.targets.error() == AttemptError::none);
  tries.targets.resolved({.status = Resolution::Status::not_found});
  REQUIRE(tries.next() == Next::unix_path);
  CHECK(tries.targets.error() == AttemptError::none);
  tries.ended(ENOENT);
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.latest().text == "unix:/run/app.sock");
  CHECK(tries.targets.latest().endpoint.port == 0);
  CHECK(tries.targets.error() == AttemptError::no_file);
  CHECK(tries.targets.why() == EndReason::unreachable);
}

TEST_CASE("a name that fails last is the backend that is named, without an address") {
  Tries tries({"10.0.0.1:443", "app.example:8443"}, "");
  REQUIRE(tries.next() == Next::endpoint);
  tries.ended(ECONNREFUSED);
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved({.status = Resolution::Status::unanswered});
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.latest().text == "app.example:8443");
  CHECK(tries.targets.latest().endpoint.port == 0);
  CHECK(tries.targets.error() == AttemptError::resolver_silent);
  CHECK(tries.targets.why() == EndReason::unresolved);
}

TEST_CASE("connections begin with all addresses of a name alike, and try every one") {
  Tries tries({"app.example:443"}, "");
  std::vector<IpAddress> many;
  for (std::uint8_t i = 0; i < 20; ++i) many.push_back(IpAddress::v4(10, 0, 0, i));
  std::set<std::string> first;
  for (int connection = 0; connection < 20; ++connection) {
    TargetList targets;
    targets.start(tries.route, "", {});
    REQUIRE(targets.next(tries.policy, tries.context()) == Next::name);
    targets.resolved(Resolution::of(many));
    std::set<std::string> tried;
    while (targets.next(tries.policy, tries.context()) == Next::endpoint) {
      if (tried.empty()) first.insert(targets.target().endpoint.to_string());
      tried.insert(targets.target().endpoint.to_string());
      targets.connected(targets.target(), ENETUNREACH, 0, tries.context());
    }
    CHECK(tried.size() == many.size());
  }
  CHECK(first.size() == many.size());
}

TEST_CASE("a list that is exhausted stays so") {
  Tries tries({"10.0.0.1:443", "10.0.0.2:443"}, "");
  REQUIRE(tries.next() == Next::endpoint);
  REQUIRE(tries.next() == Next::endpoint);
  for (int i = 0; i < 3; ++i) CHECK(tries.next() == Next::exhausted);
}

TEST_CASE("an unresponsive endpoint of any kind is put off for the next connection") {
  for (const auto* backend : {"10.0.0.1:443", "unix:/run/app.sock", "{name}:443"}) {
    CAPTURE(backend);
    Tries tries({backend, "10.0.0.2:443"}, "www.example");
    tries.route.config.allow_private = true;
    const auto first = [&](TargetList& targets) {
      const Next next = targets.next(tries.policy, tries.context());
      if (next != Next::name) return next;
      targets.resolved(addresses({"10.0.0.1"}));
      return targets.next(tries.policy, tries.context());
    };
    first(tries.targets);
    CHECK(tries.latest().text == backend);
    tries.ended(ECANCELED);
    TargetList later;
    later.start(tries.route, "www.example", {});
    first(later);
    CHECK(later.backend_of(later.latest()).text == "10.0.0.2:443");
    // One connection tries it again when its time is over, and if it answers, all do.
    tries.now_ms += limits::out_ms;
    TargetList again;
    again.start(tries.route, "www.example", {});
    first(again);
    CHECK(again.backend_of(again.latest()).text == backend);
    again.connected(again.target(), 0, 0, tries.context());
    TargetList last;
    last.start(tries.route, "www.example", {});
    first(last);
    CHECK(last.backend_of(last.latest()).text == backend);
  }
}

TEST_CASE("the last failure is why the list is exhausted") {
  Tries tries({"app.example:8443", "10.0.0.1:443"}, "");
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved({});
  REQUIRE(tries.next() == Next::endpoint);
  tries.ended(ECANCELED);
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::connect_timeout);
}

TEST_CASE("unresponsive endpoints are tried after all others, in the same order") {
  Tries tries({"10.0.0.1:443", "app.example:443", "unix:/run/app.sock"}, "");
  tries.silence(endpoint("10.0.0.1:443"));
  tries.silence(endpoint("10.0.0.3:443"));
  // Resolved once: put-off addresses are tried even if the name has others meanwhile.
  auto resolution = addresses({"10.0.0.2", "10.0.0.3", "10.0.0.4"});
  std::vector<std::string> tried;
  for (Next next = tries.next(); next != Next::exhausted; next = tries.next()) {
    if (next == Next::name) tries.targets.resolved(std::exchange(resolution, {}));
    if (next == Next::endpoint) tried.push_back(tries.targets.target().endpoint.to_string());
    if (next == Next::unix_path) tried.emplace_back(tries.targets.path());
  }
  CHECK(tried == std::vector<std::string>{"10.0.0.2:443", "10.0.0.4:443", "/run/app.sock",
                                          "10.0.0.1:443", "10.0.0.3:443"});
}

TEST_CASE("the only target is tried although it has been silent") {
  for (const auto* backend : {"10.0.0.1:443", "app.example:443"}) {
    Tries tries({backend}, "");
    tries.silence(endpoint("10.0.0.1:443"));
    Next next = tries.next();
    if (next == Next::name) {
      tries.targets.resolved(addresses({"10.0.0.1"}));
      next = tries.next();
    }
    CHECK(next == Next::endpoint);
    CHECK(&tries.latest() == &tries.route.backends.front()->backend);
    tries.ended(ECANCELED);
    CHECK(tries.next() == Next::exhausted);
    CHECK(tries.targets.why() == EndReason::connect_timeout);
  }
}

TEST_CASE(
    "an endpoint that becomes unresponsive during a connection's try is not tried by it again") {
  Tries tries({"10.0.0.1:443", "10.0.0.2:443"}, "");
  REQUIRE(tries.next() == Next::endpoint);
  tries.silence(endpoint("10.0.0.1:443"));
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().endpoint == endpoint("10.0.0.2:443"));
  CHECK(tries.next() == Next::exhausted);
}

TEST_CASE("an endpoint that the policy forbids is not tried for being unresponsive") {
  Tries tries({"{name}:443"}, "www.example");
  tries.silence(endpoint("10.0.0.1:443"));
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
  CHECK(tries.targets.target().endpoint == endpoint("8.8.8.8:443"));
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::forbidden);
}

TEST_CASE("a dynamic route that allows private addresses connects to them") {
  Tries tries({"{name}:443"}, "www.example");
  tries.route.config.allow_private = true;
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"10.0.0.1"}));
  CHECK(tries.next() == Next::endpoint);
}

TEST_CASE("a dynamic route has no target for a client without a name") {
  Tries tries({"{name}:443"}, "");
  CHECK(tries.next() == Next::exhausted);
  CHECK(tries.targets.why() == EndReason::no_route);
}
