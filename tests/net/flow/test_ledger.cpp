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
  Ledger ledger{3, shared, counters};
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

TEST_CASE("the ledger tells what lives, each with a serial of its own") {
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
  Ledger first(0, shared, counters);
  Ledger second(1, shared, counters);
  CHECK(first.open({}, {}).record.serial != second.open({}, {}).record.serial);
}
