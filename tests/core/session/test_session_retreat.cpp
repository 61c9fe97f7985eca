// What follows when a backend ends before it has sent a byte.

#include <doctest/doctest.h>

#include <vector>

#include "core/session/session.h"
#include "support/session_steps.h"

using namespace sni;
using namespace sni::test;
using Kind = Event::Kind;
using Act = Action::Kind;

namespace {

// The backend ended before it sent a byte, after the flight was sent.
Session turned_away() {
  Session session = relaying();
  session.step({.kind = Kind::sent, .side = Side::client});
  session.step({.kind = Kind::turned_away, .side = Side::backend});
  return session;
}

}  // namespace

TEST_CASE(
    "A backend that ends before its first byte leads to the next one, with nothing in flight") {
  Session session = relaying();
  CHECK_FALSE(session.spoken());
  session.step({.kind = Kind::sent, .side = Side::client});
  CHECK(step(session, {.kind = Kind::turned_away, .side = Side::backend}) ==
        std::vector<Action>{{Act::cancel}});
  CHECK(step(session, {.kind = Kind::cancelled, .operation = Operation::receive}) ==
        std::vector<Action>{{Act::retreat}, {Act::next_target}});
  CHECK(step(session, {.kind = Kind::target_ready}) ==
        std::vector<Action>{{Act::connect, Side::backend}});
  CHECK(step(session, {.kind = Kind::connected, .side = Side::backend}) ==
        std::vector<Action>{
            {Act::begin_relay}, {Act::send, Side::client}, {Act::receive, Side::backend}});
}

TEST_CASE(
    "A client that sends more before its receive is cancelled is reset, not served by halves") {
  Session session = turned_away();
  CHECK(step(session, {.kind = Kind::received}) == std::vector<Action>{{Act::flush, Side::client}});
  CHECK(session.phase() == Phase::resetting);
  CHECK(session.reason() == EndReason::backend_reset);
}

TEST_CASE("A client that was half-closed before a backend is left is so for the next one") {
  Session session = relaying();
  session.step({.kind = Kind::sent, .side = Side::client});
  session.step({.kind = Kind::eof, .side = Side::client});
  CHECK(step(session, {.kind = Kind::turned_away, .side = Side::backend}) ==
        std::vector<Action>{{Act::retreat}, {Act::next_target}});
  session.step({.kind = Kind::target_ready});
  session.step({.kind = Kind::connected, .side = Side::backend});
  CHECK(step(session, {.kind = Kind::sent, .side = Side::client}) ==
        std::vector<Action>{{Act::receive, Side::client}});
  CHECK(step(session, {.kind = Kind::eof, .side = Side::client}) ==
        std::vector<Action>{{Act::shut_down, Side::backend}});
}

TEST_CASE("A client that leaves while a backend is left is closed") {
  Session session = turned_away();
  CHECK(step(session, {.kind = Kind::reset}) == std::vector<Action>{{Act::close}});
  CHECK(session.reason() == EndReason::client_reset);
}
