#include "net/flow/doorman.h"

#include <doctest/doctest.h>

using namespace sni;

namespace {

const IpAddress one = *parse_ip("192.0.2.1");
const IpAddress two = *parse_ip("192.0.2.2");

FlowSettings settings_with(std::uint32_t connections, std::uint32_t per_source,
                           std::uint32_t hellos = 100) {
  return {.limits = {.connections_per_source = per_source, .pending_hellos = hellos},
          .connections_max = connections,
          .relayed_max = connections};
}

bool is_empty(Shared& shared) {
  return shared.connections == 0 && shared.relayed == 0 && shared.pending_hellos == 0 &&
         shared.sources.acquire(one, 1);
}

}  // namespace

TEST_CASE("a seat is counted while it lives, and gives everything back") {
  Shared shared;
  {
    const auto seat = Doorman(shared).admit(one, settings_with(10, 1));
    REQUIRE(seat);
    CHECK(shared.connections == 1);
    CHECK(shared.pending_hellos == 1);
    CHECK_FALSE(shared.sources.acquire(one, 1));
  }
  CHECK(is_empty(shared));
}

TEST_CASE("a seat that is moved is counted once, and its hello is left once") {
  Shared shared;
  {
    auto first = Doorman(shared).admit(one, settings_with(10, 1));
    REQUIRE(first);
    Seat second = std::move(*first);
    second.leave_hello();
    second.leave_hello();
    CHECK(shared.pending_hellos == 0);
    CHECK(shared.connections == 1);
  }
  CHECK(is_empty(shared));
}

TEST_CASE(
    "a connection without sockets counts among all and takes no place of those that are relayed") {
  Shared shared;
  FlowSettings settings = settings_with(2, 10);
  settings.relayed_max = 1;
  {
    auto first = Doorman(shared).admit(one, settings);
    REQUIRE(first);
    CHECK(Doorman(shared).admit(one, settings).error() == Refusal::connections);
    first->leave_sockets();
    first->leave_sockets();
    CHECK(shared.relayed == 0);
    const auto second = Doorman(shared).admit(one, settings);
    REQUIRE(second);
    CHECK(Doorman(shared).admit(one, settings).error() == Refusal::connections);
    CHECK(shared.connections == 2);
    CHECK(shared.relayed == 1);
  }
  CHECK(is_empty(shared));
}

TEST_CASE("each limit refuses with its own reason and leaves nothing counted") {
  Shared shared;
  const Doorman doorman(shared);
  {
    const auto seat = doorman.admit(one, settings_with(1, 1));
    REQUIRE(seat);
    CHECK(doorman.admit(two, settings_with(1, 1)).error() == Refusal::connections);
    CHECK(doorman.admit(one, settings_with(10, 1)).error() == Refusal::connections_per_source);
    CHECK(doorman.admit(two, settings_with(10, 1, 1)).error() == Refusal::pending_hellos);
  }
  CHECK(is_empty(shared));
}

TEST_CASE("once the true source is known, limits and lists hold for it and not for the proxy") {
  Shared shared;
  const Doorman doorman(shared);
  const FlowSettings settings = settings_with(10, 1);
  auto by_proxy = doorman.admit(one, settings);
  REQUIRE(by_proxy);
  CHECK_FALSE(doorman.readmit(*by_proxy, two, settings));
  CHECK_FALSE(shared.sources.acquire(two, 1));
  auto next = doorman.admit(one, settings);  // The place of the proxy itself is free again.
  REQUIRE(next);
  CHECK(doorman.readmit(*next, two, settings) == Refusal::connections_per_source);
}

TEST_CASE(
    "a proxy whose clients are judged has a seat, and is in nobody's lists or limits itself") {
  Shared shared;
  const Doorman doorman(shared);
  const FlowSettings settings = settings_with(1, 1);
  auto seat = doorman.admit_proxy(settings);
  REQUIRE(seat);
  CHECK(shared.connections == 1);
  CHECK(shared.sources.acquire(one, 1));
  CHECK(doorman.admit_proxy(settings).error() == Refusal::connections);
}
