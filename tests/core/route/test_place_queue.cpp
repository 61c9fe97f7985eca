#include "core/route/place_queue.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/route/backend.h"
#include "core/route/place_wait.h"

using namespace sni;

namespace {

struct Bell final : PlaceBell {
  void place_granted(std::uint64_t name) override { rung.push_back(name); }
  std::vector<std::uint64_t> rung;
};

// Wakes its waiter.
struct Flag final : PlaceBell {
  void place_granted(std::uint64_t /*name*/) override {
    come.store(true);
    come.notify_one();
  }
  std::atomic<bool> come{false};
};

struct Bounded {
  explicit Bounded(std::uint32_t max, const char* text = "10.0.0.1:443")
      : backend(table.intern(*parse_backend(text))) {
    backend->connections_max = max;
  }
  BackendTable table;
  BackendRef backend;
};

BackendLease entered(const BackendEntry& backend) {
  REQUIRE(backend.enter());
  return BackendLease::of_place(backend);
}

}  // namespace

TEST_CASE("a backend accepts connections up to its limit, and another one when one ends") {
  const Bounded bounded(2);
  const BackendLease first = entered(*bounded.backend);
  {
    const BackendLease second = entered(*bounded.backend);
    CHECK_FALSE(bounded.backend->enter());
  }
  CHECK(bounded.backend->enter());
  bounded.backend->leave();
  CHECK(bounded.backend->connections == 1);
}

TEST_CASE("the connection that has waited longest gets the free place, and new ones queue behind") {
  const Bounded bounded(1);
  Bell bell;
  PlaceWait first(bell, 1);
  PlaceWait second(bell, 2);
  {
    const BackendLease held = entered(*bounded.backend);
    CHECK(first.join(bounded.backend, 10));
    CHECK(second.join(bounded.backend, 10));
    CHECK(bell.rung.empty());
    CHECK(bounded.backend->waiting == 2);
  }
  CHECK(bell.rung == std::vector<std::uint64_t>{1});
  CHECK(first.granted());
  CHECK_FALSE(second.granted());
  CHECK(bounded.backend->connections == 1);
  {
    const auto place = first.take();
    CHECK(place.backend == bounded.backend.get());
    CHECK_FALSE(bounded.backend->enter());
  }
  CHECK(bell.rung == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("a queue accepts no more than its limit") {
  const Bounded bounded(1);
  const BackendLease held = entered(*bounded.backend);
  Bell bell;
  PlaceWait first(bell, 1);
  PlaceWait second(bell, 2);
  CHECK_FALSE(first.join(bounded.backend, 0));
  CHECK(first.join(bounded.backend, 1));
  CHECK_FALSE(second.join(bounded.backend, 1));
}

TEST_CASE("a place that is free when a connection queues is granted at once") {
  const Bounded bounded(1);
  Bell bell;
  PlaceWait wait(bell, 7);
  CHECK(wait.join(bounded.backend, 1));
  CHECK(bell.rung == std::vector<std::uint64_t>{7});
  CHECK(bounded.backend->waiting == 0);
}

TEST_CASE("a place granted to a connection that has left goes to the next one") {
  const Bounded bounded(1);
  Bell bell;
  PlaceWait patient(bell, 2);
  {
    PlaceWait leaving(bell, 1);
    {
      const BackendLease held = entered(*bounded.backend);
      REQUIRE(leaving.join(bounded.backend, 10));
      REQUIRE(patient.join(bounded.backend, 10));
    }
    REQUIRE(leaving.granted());
  }
  CHECK(patient.granted());
  CHECK(bounded.backend->connections == 1);
}

TEST_CASE("a connection that waits at several backends gets only the first place") {
  const Bounded one(1);
  const Bounded other(1, "10.0.0.2:443");
  const BackendLease kept = entered(*one.backend);
  Bell bell;
  PlaceWait wait(bell, 1);
  {
    const BackendLease held = entered(*other.backend);
    REQUIRE(wait.join(one.backend, 10));
    REQUIRE(wait.join(other.backend, 10));
  }
  CHECK(wait.take().backend == other.backend.get());
  CHECK(one.backend->connections == 1);
  {
    PlaceWait behind(bell, 2);
    REQUIRE(behind.join(one.backend, 10));
    CHECK_FALSE(behind.granted());
  }
  CHECK(one.backend->connections == 1);
}

TEST_CASE("a limit that the configuration raises or removes serves waiting connections") {
  BackendTable table;
  RouteConfig route;
  route.names = {"a.example"};
  route.backends = {*parse_backend("10.0.0.1:443")};
  route.backends.front().connections_max = 1;
  const BackendRef backend = table.intern(route.backends.front());
  table.bound_connections({&route, 1});
  const BackendLease held = entered(*backend);
  Bell bell;
  PlaceWait first(bell, 1);
  PlaceWait second(bell, 2);
  PlaceWait third(bell, 3);
  for (PlaceWait* wait : {&first, &second, &third}) REQUIRE(wait->join(backend, 10));
  route.backends.front().connections_max = 2;
  table.bound_connections({&route, 1});
  CHECK(bell.rung == std::vector<std::uint64_t>{1});
  table.bound_connections({});
  CHECK(bell.rung == std::vector<std::uint64_t>{1, 2, 3});
}

TEST_CASE("a backend that a command has taken out grants no place until it is back") {
  const Bounded bounded(1);
  Bell bell;
  PlaceWait wait(bell, 1);
  {
    const BackendLease held = entered(*bounded.backend);
    REQUIRE(wait.join(bounded.backend, 10));
    bounded.backend->disabled = true;
  }
  CHECK(bell.rung.empty());
  bounded.backend->disabled = false;
  bounded.backend->queue.serve(*bounded.backend);
  CHECK(wait.granted());
}

TEST_CASE("threads that come, wait and leave never exceed the bound, and none waits for ever") {
  const Bounded bounded(3);
  std::atomic<std::uint32_t> inside{0};
  std::atomic<std::uint32_t> most{0};
  const auto visit = [&] {
    for (int i = 0; i < 500; ++i) {
      BackendLease lease;
      if (bounded.backend->enter()) {
        lease = BackendLease::of_place(*bounded.backend);
      } else {
        Flag flag;
        PlaceWait wait(flag, 0);
        if (!wait.join(bounded.backend, 100)) continue;
        flag.come.wait(false);
        lease = wait.take().lease;
      }
      const std::uint32_t now = inside.fetch_add(1) + 1;
      std::uint32_t known = most.load();
      while (known < now && !most.compare_exchange_weak(known, now)) {
      }
      inside.fetch_sub(1);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back(visit);
  }
  CHECK(most <= 3);
  CHECK(bounded.backend->connections == 0);
  CHECK(bounded.backend->waiting == 0);
}
