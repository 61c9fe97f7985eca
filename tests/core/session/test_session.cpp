#include "core/session/session.h"

#include <doctest/doctest.h>

#include <random>

#include "core/limits.h"
#include "support/session_steps.h"
#include "support/session_world.h"

using namespace sni;
using namespace sni::test;
using Kind = Event::Kind;
using Act = Action::Kind;

TEST_CASE("A client that leaves while its backend is looked for ends the connection") {
  for (const Kind found : {Kind::target_named, Kind::target_ready}) {
    Session session;
    for (const Kind kind : {Kind::accepted, Kind::flight_routed, found})
      session.step({.kind = kind});
    CHECK(step(session, {.kind = Kind::set_up_slowly}) == std::vector<Action>{{Act::watch}});
    CHECK(step(session, {.kind = Kind::set_up_slowly}).empty());  // Once is enough.
    step(session, {.kind = Kind::hung_up});
    CHECK(session.phase() >= Phase::closing);
    CHECK(session.reason() == EndReason::client_left);
  }
}

TEST_CASE("A connection goes from the hello through the target to the relay") {
  Session session;
  CHECK(step(session, {.kind = Kind::accepted}) == std::vector<Action>{{Act::receive}});
  CHECK(step(session, {.kind = Kind::flight_incomplete}) == std::vector<Action>{{Act::receive}});
  CHECK(step(session, {.kind = Kind::flight_routed}) == std::vector<Action>{{Act::next_target}});
  CHECK(step(session, {.kind = Kind::target_named}) == std::vector<Action>{{Act::resolve}});
  CHECK(session.phase() == Phase::resolving);
  CHECK(step(session, {.kind = Kind::resolved}) == std::vector<Action>{{Act::next_target}});
  CHECK(step(session, {.kind = Kind::target_ready}) ==
        std::vector<Action>{{Act::connect, Side::backend}});
  CHECK(step(session, {.kind = Kind::connected, .side = Side::backend}) ==
        std::vector<Action>{
            {Act::begin_relay}, {Act::send, Side::client}, {Act::receive, Side::backend}});
  CHECK(session.phase() == Phase::relaying);
}

TEST_CASE("A connection that is ended by command, or at the end of a drain, is reset both ways") {
  for (const EndReason reason : {EndReason::killed, EndReason::cut}) {
    Session session;
    session.step({.kind = Kind::accepted});
    session.step({.kind = Kind::kill, .reason = reason});
    CHECK(step(session, {.kind = Kind::cancelled}) ==
          std::vector<Action>{{Act::reset}, {Act::reset, Side::backend}, {Act::close}});
  }
}

TEST_CASE("An end that loses bytes is a reset for the side that does not get them") {
  Session session = relaying();
  step(session, {.kind = Kind::sent});
  step(session, {.kind = Kind::received, .side = Side::backend});
  step(session, {.kind = Kind::deadline});
  step(session, {.kind = Kind::cancelled, .side = Side::backend, .operation = Operation::send});
  // And what arrives between the end and the cancel of its receive.
  CHECK(step(session, {.kind = Kind::received}) ==
        std::vector<Action>{{Act::reset}, {Act::reset, Side::backend}, {Act::close}});
  CHECK(session.reason() == EndReason::idle_timeout);
}

TEST_CASE("A refused address leads to the next one, and the last one to the answer") {
  Session session;
  for (const Kind kind : {Kind::accepted, Kind::flight_routed, Kind::target_ready}) {
    session.step({.kind = kind});
  }
  CHECK(step(session, {.kind = Kind::connect_failed, .side = Side::backend}) ==
        std::vector<Action>{{Act::next_target}});
  CHECK(step(session, {.kind = Kind::target_exhausted, .reason = EndReason::unreachable}) ==
        std::vector<Action>{{Act::answer}});
  CHECK(session.phase() == Phase::answering);
  CHECK(step(session, {.kind = Kind::sent, .side = Side::backend}) ==
        std::vector<Action>{{Act::shut_down}, {Act::receive}});
  CHECK(step(session, {.kind = Kind::eof}) == std::vector<Action>{{Act::close}});
  CHECK(session.reason() == EndReason::unreachable);
}

TEST_CASE("A connect that takes too long is cancelled and counts as failed") {
  Session session;
  for (const Kind kind : {Kind::accepted, Kind::flight_routed, Kind::target_ready}) {
    session.step({.kind = kind});
  }
  CHECK(step(session, {.kind = Kind::attempt_over}) == std::vector<Action>{{Act::give_up}});
  CHECK(session.phase() == Phase::connecting);
  CHECK(step(session, {.kind = Kind::connect_failed, .side = Side::backend}) ==
        std::vector<Action>{{Act::next_target}});
}

namespace {

// A session with several connects under way.
Session racing(std::size_t attempts) {
  Session session;
  for (const Kind kind : {Kind::accepted, Kind::flight_routed}) session.step({.kind = kind});
  for (std::size_t i = 0; i < attempts; ++i) {
    if (i > 0) session.step({.kind = Kind::attempt_due});
    session.step({.kind = Kind::target_ready});
  }
  return session;
}

}  // namespace

TEST_CASE("A connect that is not answered for a while gets company, up to a bound") {
  Session session = racing(1);
  for (std::size_t i = 1; i < limits::attempts_max; ++i) {
    CHECK(step(session, {.kind = Kind::attempt_due}) == std::vector<Action>{{Act::next_target}});
    CHECK(step(session, {.kind = Kind::target_ready}) ==
          std::vector<Action>{{Act::connect, Side::backend}});
  }
  CHECK(session.attempts() == limits::attempts_max);
  CHECK(step(session, {.kind = Kind::attempt_due}).empty());
}

TEST_CASE(
    "The first connect that is answered wins, and the relay waits for the end of the others") {
  Session session = racing(3);
  CHECK(step(session, {.kind = Kind::connected, .side = Side::backend}) ==
        std::vector<Action>{{Act::cancel_others}});
  CHECK(step(session, {.kind = Kind::attempt_due}).empty());
  CHECK(step(session, {.kind = Kind::connect_failed, .side = Side::backend}).empty());
  CHECK(step(session, {.kind = Kind::connect_failed, .side = Side::backend}) ==
        std::vector<Action>{
            {Act::begin_relay}, {Act::send, Side::client}, {Act::receive, Side::backend}});
  CHECK(session.phase() == Phase::relaying);
}

TEST_CASE("A connect that is answered while a name is being asked for ends the question") {
  Session session = racing(1);
  session.step({.kind = Kind::attempt_due});
  CHECK(step(session, {.kind = Kind::target_named}) == std::vector<Action>{{Act::resolve}});
  CHECK(step(session, {.kind = Kind::connected, .side = Side::backend}) ==
        std::vector<Action>{{Act::cancel_others},
                            {Act::begin_relay},
                            {Act::send, Side::client},
                            {Act::receive, Side::backend}});
}

TEST_CASE("With nothing left to try beside them, the connects under way are waited for") {
  Session session = racing(2);
  session.step({.kind = Kind::attempt_due});
  CHECK(step(session, {.kind = Kind::target_exhausted, .reason = EndReason::unreachable}).empty());
  CHECK(step(session, {.kind = Kind::connect_failed, .side = Side::backend}).empty());
  CHECK(step(session, {.kind = Kind::attempt_due}).empty());
  CHECK(step(session, {.kind = Kind::connect_failed, .side = Side::backend}) ==
        std::vector<Action>{{Act::next_target}});
  CHECK(step(session, {.kind = Kind::target_exhausted, .reason = EndReason::connect_timeout}) ==
        std::vector<Action>{{Act::answer}});
  CHECK(session.reason() == EndReason::connect_timeout);
}

TEST_CASE("A client that leaves while connects are under way is closed when all have ended") {
  Session session = racing(2);
  session.step({.kind = Kind::set_up_slowly});
  CHECK(step(session, {.kind = Kind::hung_up}) == std::vector<Action>{{Act::cancel}});
  const Event cancelled{
      .kind = Kind::cancelled, .side = Side::backend, .operation = Operation::connect};
  CHECK(step(session, cancelled).empty());
  CHECK(step(session, cancelled) == std::vector<Action>{{Act::close}});
}

TEST_CASE("A plane gets both sockets once nothing is in flight and nothing is held") {
  Session session = relaying();
  session.step({.kind = Kind::sent, .side = Side::client});
  session.step({.kind = Kind::received, .side = Side::backend});
  CHECK(step(session, {.kind = Kind::wanted}) == std::vector<Action>{{Act::rest}});
  CHECK(session.phase() == Phase::handing);
  CHECK(step(session, {.kind = Kind::cancelled, .operation = Operation::receive}).empty());
  CHECK(step(session, {.kind = Kind::sent, .side = Side::backend}) ==
        std::vector<Action>{{Act::hand_over}});
  CHECK(step(session, {.kind = Kind::deadline}).empty());
  CHECK(step(session, {.kind = Kind::hand_over_waits}) == std::vector<Action>{{Act::hand_over}});
  CHECK(step(session, {.kind = Kind::handed_over}) == std::vector<Action>{{Act::close}});
  CHECK(session.reason() == EndReason::none);
}

TEST_CASE("A pair that a plane gives back is relayed on") {
  Session session = relaying();
  session.step({.kind = Kind::sent, .side = Side::client});
  session.step({.kind = Kind::wanted});
  for (const Side side : {Side::client, Side::backend}) {
    session.step({.kind = Kind::cancelled, .side = side, .operation = Operation::receive});
  }
  CHECK(step(session, {.kind = Kind::handed_back}) ==
        std::vector<Action>{{Act::receive}, {Act::receive, Side::backend}});
  CHECK(session.phase() == Phase::relaying);
}

TEST_CASE("A stalled reader does not hold up the other direction for a hand-over") {
  Session session = relaying();
  session.step({.kind = Kind::blocked, .side = Side::client});
  session.step({.kind = Kind::wanted});
  session.step({.kind = Kind::cancelled, .operation = Operation::watch});
  session.step({.kind = Kind::cancelled, .side = Side::backend, .operation = Operation::receive});
  CHECK(session.phase() == Phase::handing);
  CHECK(step(session, {.kind = Kind::deadline}) ==
        std::vector<Action>{{Act::receive, Side::backend}, {Act::watch, Side::client}});
  CHECK(session.phase() == Phase::relaying);
}

TEST_CASE("A writer whose watch was still being cancelled is watched again") {
  Session session = relaying();
  session.step({.kind = Kind::blocked, .side = Side::client});
  session.step({.kind = Kind::wanted});
  CHECK(step(session, {.kind = Kind::deadline}).empty());
  CHECK(step(session, {.kind = Kind::cancelled, .operation = Operation::watch}) ==
        std::vector<Action>{{Act::watch, Side::client}});
  CHECK(step(session,
             {.kind = Kind::cancelled, .side = Side::backend, .operation = Operation::receive}) ==
        std::vector<Action>{{Act::receive, Side::backend}});
}

TEST_CASE("An end that comes before the hand-over is the relay's") {
  Session session = relaying();
  session.step({.kind = Kind::sent, .side = Side::client});
  session.step({.kind = Kind::wanted});
  CHECK(step(session, {.kind = Kind::eof}) == std::vector<Action>{{Act::shut_down, Side::backend}});
  CHECK(session.phase() == Phase::draining);
  CHECK(step(session,
             {.kind = Kind::cancelled, .side = Side::backend, .operation = Operation::receive}) ==
        std::vector<Action>{{Act::receive, Side::backend}});
}

TEST_CASE("A FIN of one side is forwarded and the other direction goes on") {
  for (const Side first : {Side::client, Side::backend}) {
    CAPTURE(index(first));
    Session session = relaying();
    session.step({.kind = Kind::sent, .side = Side::client});
    CHECK(step(session, {.kind = Kind::eof, .side = first}) ==
          std::vector<Action>{{Act::shut_down, other(first)}});
    CHECK(session.phase() == Phase::draining);
    CHECK(step(session, {.kind = Kind::received, .side = other(first)}) ==
          std::vector<Action>{{Act::send, other(first)}});
    CHECK(step(session, {.kind = Kind::sent, .side = other(first)}) ==
          std::vector<Action>{{Act::receive, other(first)}});
    CHECK(step(session, {.kind = Kind::eof, .side = other(first)}) ==
          std::vector<Action>{{Act::close}});
    CHECK(session.reason() == EndReason::done);
  }
}

TEST_CASE("A reset is carried over as a reset once the other side's queue is empty") {
  Session session = relaying();
  session.step({.kind = Kind::sent, .side = Side::client});
  CHECK(step(session, {.kind = Kind::reset, .side = Side::backend}) ==
        std::vector<Action>{{Act::flush, Side::client}});
  CHECK(step(session, {.kind = Kind::flushed}) == std::vector<Action>{{Act::cancel}});
  CHECK(step(session, {.kind = Kind::cancelled, .operation = Operation::receive}) ==
        std::vector<Action>{{Act::reset, Side::client}, {Act::close}});
  CHECK(session.reason() == EndReason::backend_reset);
}

TEST_CASE("Bytes on their way to a side when the other is reset are still delivered") {
  Session session = relaying();
  session.step({.kind = Kind::received, .side = Side::backend});
  session.step({.kind = Kind::blocked, .side = Side::backend});
  CHECK(step(session, {.kind = Kind::hung_up, .side = Side::backend}) ==
        std::vector<Action>{{Act::flush, Side::client}});
  CHECK(step(session, {.kind = Kind::blocked, .side = Side::backend}) ==
        std::vector<Action>{{Act::send, Side::backend}});
  CHECK(session.armed(Operation::send, Side::backend));
  CHECK(step(session, {.kind = Kind::sent, .side = Side::backend}) ==
        std::vector<Action>{{Act::receive, Side::backend}});
  CHECK(step(session, {.kind = Kind::received, .side = Side::backend}) ==
        std::vector<Action>{{Act::send, Side::backend}});
  session.step({.kind = Kind::sent, .side = Side::backend});
  CHECK(step(session, {.kind = Kind::eof, .side = Side::backend}).empty());
  CHECK(session.phase() == Phase::resetting);
}

TEST_CASE("A side that died is distinguished from one that has reset us") {
  for (const bool lost : {false, true}) {
    Session from_client = relaying();
    from_client.step({.kind = Kind::sent, .side = Side::client});
    Session from_backend = from_client;
    from_client.step({.kind = Kind::reset, .side = Side::client, .lost = lost});
    CHECK(from_client.reason() == (lost ? EndReason::client_lost : EndReason::client_reset));
    from_backend.step({.kind = Kind::reset, .side = Side::backend, .lost = lost});
    CHECK(from_backend.reason() == (lost ? EndReason::backend_lost : EndReason::backend_reset));
  }
}

TEST_CASE("A side that has been half-closed for a while is watched for its reset, once") {
  Session session = relaying();
  session.step({.kind = Kind::sent, .side = Side::client});
  session.step({.kind = Kind::eof, .side = Side::client});
  CHECK(step(session, {.kind = Kind::half_closed}) ==
        std::vector<Action>{{Act::watch, Side::client}});
  CHECK(step(session, {.kind = Kind::half_closed}).empty());
  CHECK(step(session, {.kind = Kind::hung_up, .side = Side::client}) ==
        std::vector<Action>{{Act::flush, Side::backend}});
  CHECK(session.reason() == EndReason::client_reset);
}

TEST_CASE("A backend's bytes before its reset still reach the client") {
  Session session = relaying();
  CHECK(step(session, {.kind = Kind::send_failed, .side = Side::client}).empty());
  CHECK(step(session, {.kind = Kind::received, .side = Side::backend}) ==
        std::vector<Action>{{Act::send, Side::backend}});
  CHECK(step(session, {.kind = Kind::sent, .side = Side::backend}) ==
        std::vector<Action>{{Act::receive, Side::backend}});
  // The error was reported to our send, so the receive sees a plain EOF.
  CHECK(step(session, {.kind = Kind::eof, .side = Side::backend}) ==
        std::vector<Action>{{Act::flush, Side::client}});
  CHECK(session.reason() == EndReason::backend_reset);
}

TEST_CASE("When neither side takes bytes any more the connection ends") {
  Session session = relaying();
  session.step({.kind = Kind::received, .side = Side::backend});
  for (const Side side : {Side::client, Side::backend}) session.step({Kind::send_failed, side});
  CHECK(session.reason() == EndReason::client_reset);
}

TEST_CASE("A stalled reader makes its writer be watched, once") {
  Session session = relaying();
  CHECK(step(session, {.kind = Kind::blocked, .side = Side::client}) ==
        std::vector<Action>{{Act::send, Side::client}, {Act::watch, Side::client}});
  CHECK(step(session, {.kind = Kind::blocked, .side = Side::client}) ==
        std::vector<Action>{{Act::send, Side::client}});
  CHECK(step(session, {.kind = Kind::hung_up, .side = Side::client}) ==
        std::vector<Action>{{Act::flush, Side::backend}});
  CHECK(session.reason() == EndReason::client_reset);
}

TEST_CASE("A receive that ends without a result is armed again") {
  Session session = relaying();
  CHECK(step(session, {.kind = Kind::receive_again, .side = Side::backend}) ==
        std::vector<Action>{{Act::receive, Side::backend}});
}

TEST_CASE("Nothing is freed while something is in flight") {
  Session session = relaying();
  CHECK(step(session, {.kind = Kind::kill, .reason = EndReason::cut}) ==
        std::vector<Action>{{Act::cancel}});
  CHECK(step(session, {.kind = Kind::received, .side = Side::backend}).empty());
  CHECK(session.phase() == Phase::closing);
  CHECK(step(session, {.kind = Kind::cancelled, .operation = Operation::send}) ==
        std::vector<Action>{{Act::reset}, {Act::reset, Side::backend}, {Act::close}});
}

TEST_CASE("Whatever happens in whatever order, a session ends in closed and keeps its rules") {
  std::mt19937_64 random(20260101);
  std::array<std::size_t, end_reasons> ends{};
  for (int run = 0; run < 200'000; ++run) {
    test::SessionWorld world([&random](std::size_t n) { return random() % n; });
    REQUIRE_NOTHROW(world.run(1 + random() % 100));
    ++ends[static_cast<std::size_t>(world.session().reason())];
  }
  // The walk must reach every reason that a session decides about.
  for (const EndReason reason :
       {EndReason::done, EndReason::client_reset, EndReason::backend_reset, EndReason::client_left,
        EndReason::malformed, EndReason::hello_timeout, EndReason::no_route, EndReason::unreachable,
        EndReason::idle_timeout, EndReason::relay_memory, EndReason::cut}) {
    CAPTURE(to_string(reason));
    CHECK(ends[static_cast<std::size_t>(reason)] > 0);
  }
}

TEST_CASE("A connection waits for a place, and goes on with it or without") {
  for (const Kind outcome : {Kind::place_found, Kind::place_refused, Kind::deadline}) {
    Session session;
    step(session, {.kind = Kind::accepted});
    step(session, {.kind = Kind::flight_routed});
    CHECK(step(session, {.kind = Kind::target_full}) == std::vector<Action>{{Act::queue}});
    CHECK(session.phase() == Phase::queued);
    CHECK(step(session, {.kind = outcome}) == std::vector<Action>{{Act::next_target}});
    CHECK(session.phase() == Phase::connecting);
  }
}

TEST_CASE("A connect that is answered while a place is waited for ends the wait") {
  Session session;
  for (const Kind kind : {Kind::accepted, Kind::flight_routed, Kind::target_ready,
                          Kind::attempt_due, Kind::target_full}) {
    session.step({.kind = kind});
  }
  REQUIRE(session.phase() == Phase::queued);
  const auto actions = step(session, {.kind = Kind::connected, .side = Side::backend});
  CHECK(actions.front() == Action{Act::cancel_others});
  CHECK(session.phase() == Phase::relaying);
}
