// Code that runs once per connection or per completion must not touch the heap.

#include <doctest/doctest.h>

#include "core/hello/first_flight.h"
#include "core/route/backend_table.h"
#include "core/route/route_table.h"
#include "core/session/deadlines.h"
#include "support/client_hello_builder.h"
#include "support/count_allocations.h"

using namespace sni;

TEST_CASE("the counter counts") {
  const std::size_t before = allocations;
  const std::vector<int> one(1);
  CHECK(allocations == before + 1);
}

TEST_CASE("reading a first flight allocates nothing, in one record or in many") {
  test::Bytes scratch(limits::hello_bytes_max + limits::handshake_header);
  for (const std::size_t record_size : {16uz * 1024, 100uz}) {
    const test::Bytes wire = test::browser_hello("a.example").wire(record_size);
    FlightScanner scanner(Protocol::tls);
    const std::size_t before = allocations;
    const auto need = scanner.scan(wire);
    const auto flight = scanner.parse(wire, scratch);
    const std::size_t after = allocations;
    CHECK(need == std::expected<std::size_t, FlightError>(0));
    CHECK(flight->name() == "a.example");
    CHECK(after == before);
  }
}

TEST_CASE("looking up a route allocates nothing") {
  Config config;
  config.listeners = {{.name = "tls"}};
  config.routes.resize(2);
  config.routes[0].names = {"*.a-name-that-is-longer-than-a-small-string.example"};
  config.routes[0].listeners = {"tls"};
  config.routes[0].alpn = {"h2"};
  config.routes[1] = config.routes[0];
  config.routes[1].names = {"*"};
  BackendTable backends;
  const RouteTable table(config, backends);
  const test::Bytes h2 = test::text_bytes("\x08http/1.1\x02h2");
  const std::size_t before = allocations;
  const auto& wildcard = table.find(0, "x.y.a-name-that-is-longer-than-a-small-string.example", h2);
  const auto& none = table.find(0, "x.y.a-name-that-is-longer-than-a-small-string.example", {});
  const std::size_t after = allocations;
  CHECK(wildcard != nullptr);
  CHECK(none == nullptr);
  CHECK(after == before);
}

TEST_CASE("deadlines allocate only where they grow") {
  Deadlines deadlines(100);
  std::size_t fired = 0;
  const std::size_t before = allocations;
  for (std::uint32_t slot = 0; slot < 100; ++slot) deadlines.set(slot, slot * 1'000);
  deadlines.clear(50);
  deadlines.expire(200'000, [&](std::uint32_t) { ++fired; });
  const std::size_t after = allocations;
  CHECK(fired == 99);
  CHECK(after == before);
}
