#include "net/planes/handover_pace.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace sni;
using namespace std::chrono_literals;

namespace {

TcpFacts facts(std::chrono::microseconds round_trip) {
  return {.offered_window = 50'000,
          .flight = {.congestion_window = 14'000, .window = 60'000},
          .round_trip = round_trip};
}

}  // namespace

TEST_CASE("a try waits by the longer round trip, and the longer the more have failed") {
  HandoverPace pace;
  const auto patience = [&](const TcpFacts& client, const TcpFacts& backend) {
    pace.foresee(client, backend);
    return pace.patience();
  };
  CHECK(patience(facts(50us), facts(100us)) == 20ms);
  CHECK(patience(facts(50ms), facts(100us)) == 100ms);
  CHECK(patience(facts(100us), facts(50ms)) == 100ms);
  pace.fail(0);
  CHECK(patience(facts(50us), facts(100us)) == 40ms);
  for (int i = 0; i < 3; ++i) pace.fail(0);
  CHECK(patience(facts(50us), facts(100us)) == 80ms);
  CHECK(patience(facts(50ms), facts(100us)) == 400ms);
  CHECK(patience(facts(300ms), facts(100us)) == 1s);
}

TEST_CASE("a try that would fail is foreseen") {
  HandoverPace pace;
  const TcpFacts backend = facts(100us);
  TcpFacts client = facts(50ms);
  CHECK(pace.foresee(client, backend) == PACKET_TAKEN);
  client.offered_window = 60'001;
  CHECK(pace.foresee(client, backend) == PACKET_DECLINE_PROMISE);
  CHECK(pace.foresee(backend, client) == PACKET_DECLINE_PROMISE);
  client = facts(50ms);
  client.flight.waits = true;
  client.flight.unsent = 14'000;  // Two round trips, which the first try waits.
  CHECK(pace.foresee(client, backend) == PACKET_TAKEN);
  client.flight.unsent = 15'000;
  CHECK(pace.foresee(client, backend) == PACKET_DECLINE_BUSY);
  CHECK(pace.foresee(backend, client) == PACKET_DECLINE_BUSY);
  pace.fail(0);
  CHECK(pace.foresee(client, backend) == PACKET_TAKEN);
}

TEST_CASE("pauses double, last a round trip at least, and become long after eight tries") {
  HandoverPace pace;
  const auto fail = [&](std::uint64_t now_ms, std::chrono::microseconds round_trip) {
    pace.foresee(facts(round_trip), facts(0us));
    return pace.fail(now_ms);
  };
  CHECK(pace.is_due(0));
  CHECK(fail(1'000, 0us) == 20ms);
  CHECK(!pace.is_due(1'019));
  CHECK(pace.is_due(1'020));
  CHECK(fail(2'000, 150ms) == 150ms);
  CHECK(fail(3'000, 1h) == 1s);
  CHECK(fail(3'000, 0us) == 160ms);
  for (int i = 0; i < 3; ++i) fail(4'000, 0us);
  CHECK(!pace.is_out());
  CHECK(fail(5'000, 0us) == 500ms);
  CHECK(pace.is_out());
  CHECK(pace.is_due(5'500));
  // From then on one try after each pause.
  pace.foresee(facts(120ms), facts(0us));
  pace.try_again(5'500);
  CHECK(!pace.is_out());
  CHECK(!pace.is_due(5'619));
  CHECK(pace.is_due(5'620));
  CHECK(fail(6'000, 0us) == 1s);
  CHECK(pace.is_out());
  for (int i = 0; i < 10; ++i) pace.pause(7'000);
  CHECK(pace.pause(8'000) == 32s);
  CHECK(!pace.is_over());
  pace.end();
  CHECK(pace.is_over());
  CHECK(!pace.is_due(UINT64_MAX - 1));
}
