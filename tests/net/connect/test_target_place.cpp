// Backends with a limit of connections in the list of targets.

#include <doctest/doctest.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "support/tries.h"

using namespace sni;
using namespace sni::test;

namespace {

struct Bell final : PlaceBell {
  void place_granted(std::uint64_t /*name*/) override { ++rung; }
  int rung = 0;
};

// Fills the backend, and keeps it so.
BackendLease fill(const Route& route, std::size_t backend) {
  route.backends[backend]->connections_max = 1;
  REQUIRE(route.backends[backend]->enter());
  return BackendLease::of_place(*route.backends[backend]);
}

}  // namespace

TEST_CASE("a full backend is passed over, and where all are full a place is waited for") {
  Tries tries({"10.0.0.1:443", "10.0.0.2:443"}, "");
  const BackendLease first = fill(tries.route, 0);
  REQUIRE(tries.next() == Next::endpoint);
  CHECK(tries.targets.target().backend == 1);
  const BackendLease second = fill(tries.route, 1);
  TargetList later;
  later.start(tries.route, "", {});
  CHECK(later.next(tries.policy, tries.context()) == Next::full);
  CHECK(later.full() == tries.route.backends);
}

TEST_CASE("a granted place serves all attempts at that backend together") {
  Tries tries({"app.example:443"}, "");
  const BackendEntry& backend = *tries.route.backends[0];
  std::optional<BackendLease> held = fill(tries.route, 0);
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"10.0.0.1", "10.0.0.2"}));
  REQUIRE(tries.next() == Next::full);
  Bell bell;
  PlaceWait wait(bell, 1);
  REQUIRE(wait.join(tries.targets.full().front(), 1));
  held.reset();
  REQUIRE(bell.rung == 1);
  tries.targets.placed(wait.take());
  REQUIRE(tries.next() == Next::name);
  tries.targets.resolved(addresses({"10.0.0.1", "10.0.0.2"}));
  REQUIRE(tries.next() == Next::endpoint);
  const Target slow = tries.targets.target();
  const BackendLease one = tries.targets.lease(slow);
  REQUIRE(tries.next() == Next::endpoint);
  BackendLease other = tries.targets.lease(tries.targets.target());
  CHECK(backend.connections == 1);
  other.take_place(tries.targets.take_place(tries.targets.target()));
  CHECK(backend.connections == 1);
  other = BackendLease();
  CHECK(backend.connections == 0);
}

TEST_CASE("backups have their turn only when nobody may wait") {
  Route route = route_to({"10.0.0.1:443", "10.0.0.2:443"});
  route.primaries = 1;
  const BackendLease held = fill(route, 0);
  Tries tries({"10.0.0.9:443"}, "");
  TargetList targets;
  targets.start(route, "", {});
  REQUIRE(targets.next(tries.policy, tries.context()) == Next::full);
  targets.not_placed(AttemptError::full);
  REQUIRE(targets.next(tries.policy, tries.context()) == Next::endpoint);
  CHECK(targets.target().backend == 1);
}

TEST_CASE("the end says that the queue was full, or the time over") {
  for (const auto& [why, end] :
       {std::pair{AttemptError::full, EndReason::queue_full},
        std::pair{AttemptError::queue_timeout, EndReason::queue_timeout}}) {
    Tries tries({"10.0.0.1:443"}, "");
    const BackendLease held = fill(tries.route, 0);
    REQUIRE(tries.next() == Next::full);
    tries.targets.not_placed(why);
    CHECK(tries.next() == Next::exhausted);
    CHECK(tries.targets.why() == end);
    CHECK(tries.latest().text == "10.0.0.1:443");
  }
}

TEST_CASE("a backend that is out and full is waited for once, and then given up") {
  Tries tries({"10.0.0.1:443"}, "");
  tries.silence(endpoint("10.0.0.1:443"));
  const BackendLease held = fill(tries.route, 0);
  REQUIRE(tries.next() == Next::full);
  tries.targets.not_placed(AttemptError::queue_timeout);
  CHECK(tries.next() == Next::exhausted);
}
