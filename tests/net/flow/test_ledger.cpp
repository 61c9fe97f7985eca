#include "net/flow/ledger.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "net/flow/doorman.h"

using namespace sni;

namespace {

struct LedgerWorld {
  Flow& open(const char* name = "a.example") {
    auto seat = Doorman(shared).admit(*parse_ip("192.0.2.1"), {.relayed_max = 10});
    REQUIRE(seat);
    return ledger.open({.listener = listener, .server_name = name}, std::move(*seat));
  }
  void end(Flow& flow, EndReason reason) {
    ledger.end(flow, {.reason = reason, .to_backend = 7, .to_client = 9}, gate, 1000);
  }
  std::uint64_t ended(EndReason reason) const {
    return counters.ended[static_cast<std::size_t>(reason)].value();
  }

  Shared shared;
  Counters counters;
  LogGate gate{10};
  std::shared_ptr<const ListenerConfig> listener = std::make_shared<const ListenerConfig>();
  Traffic traffic{{1, 2}};
  Ledger ledger{3, shared, counters, traffic};
};

}  // namespace

TEST_CASE("a flow that has ended is counted by its reason and gives its seat back") {
  LedgerWorld world;
  Flow& flow = world.open();
  CHECK(world.shared.connections == 1);
  world.end(flow, EndReason::done);
  CHECK(world.shared.connections == 0);
  CHECK(world.ledger.living() == 0);
  CHECK(world.ended(EndReason::done) == 1);
}

TEST_CASE("the ledger lists live flows, each with its own serial") {
  LedgerWorld world;
  Flow& gone = world.open("gone.example");
  world.open("a.example");
  world.open("b.example");
  world.end(gone, EndReason::done);
  world.open("c.example");
  std::set<std::uint64_t> serials;
  std::set<std::string> names;
  world.ledger.for_each([&](const Flow& flow) {
    serials.insert(flow.record.serial);
    names.insert(flow.record.server_name);
  });
  CHECK(names == std::set<std::string>{"a.example", "b.example", "c.example"});
  CHECK(serials.size() == 3);
}

TEST_CASE("serials of two workers never meet") {
  Shared shared;
  Counters counters;
  Traffic traffic({1, 2});
  Ledger first(0, shared, counters, traffic);
  Ledger second(1, shared, counters, traffic);
  CHECK(first.open({}, {}).record.serial != second.open({}, {}).record.serial);
}

TEST_CASE("the traffic of a flow is counted once, however often somebody looks at it") {
  LedgerWorld world;
  Flow& flow = world.open();
  flow.record.plane = PlaneId::userspace;
  world.ledger.settle(flow, 2, 5);
  world.ledger.settle(flow, 2, 5);
  world.ledger.settle(flow, 4, 5);
  world.end(flow, EndReason::done);
  for (const TrafficKind kind : {TrafficKind::name, TrafficKind::source, TrafficKind::plane}) {
    const TrafficReport report = world.traffic.report(kind);
    REQUIRE(report.rows.size() == 1);
    CHECK(report.rows.front().count ==
          TrafficCount{.connections = 1, .to_backend = 7, .to_client = 9});
  }
}

TEST_CASE("bytes that a backend took with it are not counted back") {
  LedgerWorld world;
  Flow& flow = world.open();
  world.ledger.settle(flow, 100, 0);
  world.end(flow, EndReason::done);
  CHECK(world.traffic.report(TrafficKind::name).rows.front().count ==
        TrafficCount{.connections = 1, .to_backend = 100, .to_client = 9});
}

TEST_CASE("the begin and end of a connection are reported while a client follows") {
  LedgerWorld world;
  Flow& unheard = world.open("unheard.example");
  world.ledger.begin(unheard, 10);
  world.ledger.hand_over_lines();
  world.shared.news.set_followers(1);
  Flow& flow = world.open();
  world.ledger.begin(flow, 20);
  world.end(flow, EndReason::done);
  CHECK(world.shared.news.take().events.empty());  // The turn is not over.
  world.ledger.hand_over_lines();
  const auto taken = world.shared.news.take();
  REQUIRE(taken.events.size() == 2);
  CHECK(taken.events[0].record.server_name == "a.example");
  CHECK(taken.events[0].end.reason == EndReason::none);
  CHECK(taken.events[0].at_ms == 20);
  CHECK(taken.events[1].end.reason == EndReason::done);
  CHECK(taken.events[1].end.to_backend == 7);
}
