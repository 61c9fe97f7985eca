#include "core/packet/flow_watch.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace sni;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t s = 1'000'000'000;
constexpr std::uint64_t start = 1'000 * s;

constexpr TcpConfig tcp{.keepalive_idle = 60s, .keepalive_interval = 30s, .keepalive_probes = 4};

IdleTimeouts long_timeouts() {
  return {.idle = 24h, .half_closed = 24h};
}

// Two ends that sent their last packet at `start` and have everything acknowledged.
SeenEnds quiet() {
  return {SeenEnd{.last_ns = start, .acked = 100}, SeenEnd{.last_ns = start, .acked = 200}};
}

}  // namespace

TEST_CASE("an end that answers no probe is lost after keepalive_idle and its probes") {
  for (const std::size_t lost : {0UZ, 1UZ}) {
    CAPTURE(lost);
    FlowWatch watch(long_timeouts());
    SeenEnds ends = quiet();
    std::uint64_t probes = 0;
    for (std::uint64_t second = 1; second < 180; ++second) {
      const std::uint64_t now = start + second * s;
      ends[1 - lost].last_ns = now;
      const auto found = watch.look(ends, tcp, now);
      REQUIRE_FALSE(found.end.has_value());
      CHECK_FALSE(found.probe[1 - lost]);
      // The first after keepalive_idle, then one in each interval.
      CHECK(found.probe[lost] == (second >= 60 && second % 30 == 0));
      CHECK(watch.probing() == (second >= 60));
      probes += found.probe[lost] ? 1 : 0;
    }
    CHECK(probes == tcp.keepalive_probes);
    ends[1 - lost].last_ns = start + 180 * s;
    const auto found = watch.look(ends, tcp, start + 180 * s);
    CHECK(found.end == (lost == 0 ? EndReason::client_lost : EndReason::backend_lost));
  }
}

TEST_CASE("an answer ends probing, and the next probe comes after another keepalive_idle") {
  FlowWatch watch(long_timeouts());
  SeenEnds ends = quiet();
  auto found = watch.look(ends, tcp, start + 60 * s);
  CHECK(found.probe == std::array{true, true});
  ends[0].last_ns = ends[1].last_ns = start + 60 * s;
  found = watch.look(ends, tcp, start + 61 * s);
  CHECK(found.probe == std::array{false, false});
  CHECK_FALSE(watch.probing());
  CHECK_FALSE(watch.look(ends, tcp, start + 119 * s).probe[0]);
  CHECK(watch.look(ends, tcp, start + 120 * s).probe[0]);
}

TEST_CASE("an answer counts even if the next probe is due when it is seen") {
  TcpConfig often = tcp;
  often.keepalive_idle = often.keepalive_interval = 1s;
  FlowWatch watch(long_timeouts());
  SeenEnds ends = quiet();
  for (std::uint64_t second = 1; second < 20; ++second) {
    const auto found = watch.look(ends, often, start + second * s);
    REQUIRE_FALSE(found.end.has_value());
    CHECK(found.probe == std::array{true, true});
    // By a coarse clock, before the probe.
    ends[0].last_ns = ends[1].last_ns = start + second * s - 3'000'000;
  }
}

TEST_CASE("probes and their answers do not keep an idle flow alive, but acknowledged bytes do") {
  FlowWatch watch({.idle = 10min, .half_closed = 10min});
  SeenEnds ends = quiet();
  CHECK_FALSE(watch.look(ends, tcp, start).end.has_value());
  ends[0].acked = 101;
  ends[1].last_ns = start + 500 * s;  // Acknowledges it.
  CHECK_FALSE(watch.look(ends, tcp, start + 505 * s).end.has_value());
  CHECK(watch.active_ns(ends) == start + 500 * s);
  for (std::uint64_t second = 510; second <= 1'100; second += 10) {
    ends[0].last_ns = ends[1].last_ns = start + second * s;
    REQUIRE_FALSE(watch.look(ends, tcp, start + second * s).end.has_value());
  }
  CHECK(watch.look(ends, tcp, start + 1'101 * s).end == EndReason::idle_timeout);
}

TEST_CASE("once one end has sent its FIN, half_closed takes the place of idle") {
  for (const std::size_t first : {0UZ, 1UZ}) {
    FlowWatch watch({.idle = 10min, .half_closed = 5s});
    SeenEnds ends = quiet();
    CHECK_FALSE(watch.look(ends, tcp, start + 9 * s).end.has_value());
    ends[first].fin = true;
    ends[first].acked += 1;
    ends[first].last_ns = start + 9 * s;
    CHECK_FALSE(watch.look(ends, tcp, start + 14 * s).end.has_value());
    CHECK(watch.look(ends, tcp, start + 15 * s).end == EndReason::half_closed_timeout);
  }
  FlowWatch watch({.idle = 5s, .half_closed = 5s});
  SeenEnds ends = quiet();
  ends[0].fin = true;
  CHECK(watch.look(ends, tcp, start + 6 * s).end == EndReason::idle_timeout);
}

TEST_CASE("an end that owes acknowledgements is not probed and may owe them for user_timeout") {
  FlowWatch watch(long_timeouts());
  SeenEnds ends = quiet();
  ends[1].unacked = true;
  for (std::uint64_t second = 0; second <= 900; second += 15) {
    const auto found = watch.look(ends, tcp, start + second * s);
    REQUIRE_FALSE(found.end.has_value());
    CHECK_FALSE(found.probe[0]);
    ends[1].last_ns = start + second * s;  // It retransmits.
  }
  CHECK(watch.look(ends, tcp, start + 901 * s).end == EndReason::client_lost);
  ends[0].last_ns = start + 890 * s;  // It answers, but takes no bytes.
  CHECK_FALSE(watch.look(ends, tcp, start + 901 * s).end.has_value());
  TcpConfig strict = tcp;
  strict.user_timeout = 20s;
  CHECK(watch.look(ends, strict, start + 900 * s).end == EndReason::client_lost);

  // Each acknowledged byte begins a new time.
  FlowWatch moving(long_timeouts());
  for (std::uint64_t second = 0; second < 100; second += 15) {
    ends[1].acked += 1;
    ends[1].last_ns = start + second * s;
    REQUIRE_FALSE(moving.look(ends, strict, start + second * s).end.has_value());
  }
  CHECK_FALSE(moving.look(ends, strict, start + 110 * s).end.has_value());
  CHECK(moving.look(ends, strict, start + 111 * s).end == EndReason::client_lost);
}

TEST_CASE("user_timeout takes the place of the number of probes") {
  TcpConfig patient = tcp;
  patient.user_timeout = 400s;
  FlowWatch watch(long_timeouts());
  SeenEnds ends = quiet();
  for (std::uint64_t second = 1; second < 400; ++second) {
    ends[1].last_ns = start + second * s;
    REQUIRE_FALSE(watch.look(ends, patient, start + second * s).end.has_value());
  }
  ends[1].last_ns = start + 420 * s;
  CHECK(watch.look(ends, patient, start + 420 * s).end == EndReason::client_lost);
}
