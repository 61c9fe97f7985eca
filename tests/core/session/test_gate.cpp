#include "core/session/gate.h"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace sni;
using Armed = Gate::Armed;
using Outcome = Gate::Outcome;
using Step = Gate::Step;

namespace {

constexpr Gate::Facts drained{.drained = true};

// A gate whose receive is armed as `armed`.
Gate gate_armed(Armed armed) {
  Gate gate;
  gate.start(armed == Armed::sleep);
  if (armed == Armed::pause) gate.on(Outcome::nothing, {});
  if (armed == Armed::end) gate.on(Outcome::fin, {});
  CHECK(gate.armed() == armed);
  return gate;
}

Step step(Armed armed, Outcome outcome, const Gate::Facts& facts = {}) {
  return gate_armed(armed).on(outcome, facts);
}

}  // namespace

TEST_CASE("A quiet gate sleeps, and a gate with bytes behind it receives") {
  CHECK(Gate().start(true) == Step::arm_sleep);
  CHECK(Gate().start(false) == Step::arm_receive);
}

TEST_CASE("A hang-up while asleep says nothing of the bytes before it, which are received first") {
  CHECK(step(Armed::sleep, Outcome::hung_up) == Step::arm_receive);
  CHECK(step(Armed::sleep, Outcome::hung_up, {.torn = true}) == Step::arm_receive);
}

TEST_CASE("A notice starts the receive anew whatever is armed") {
  for (const Armed armed : {Armed::bytes, Armed::sleep, Armed::pause, Armed::end}) {
    CHECK(step(armed, Outcome::woken) == Step::again);
  }
}

TEST_CASE("Bytes that are announced and not there yet are waited for") {
  CHECK(step(Armed::bytes, Outcome::nothing) == Step::arm_pause);
  CHECK(step(Armed::pause, Outcome::time) == Step::again);
}

TEST_CASE("The end is told only when nothing passed is unread and the backlog has left") {
  CHECK(step(Armed::bytes, Outcome::fin, {.pending = true, .drained = true}) == Step::again);
  CHECK(step(Armed::bytes, Outcome::fin) == Step::arm_pause);
  CHECK(step(Armed::bytes, Outcome::fin, drained) == Step::eof);
  CHECK(step(Armed::end, Outcome::time) == Step::arm_pause);
  CHECK(step(Armed::end, Outcome::time, {.pending = true}) == Step::again);
  CHECK(step(Armed::end, Outcome::time, drained) == Step::eof);
}

TEST_CASE("Bytes that were received are delivered, and lost ones reset the pair") {
  CHECK(step(Armed::bytes, Outcome::bytes, {.torn = true}) == Step::deliver);
  for (const Armed armed : {Armed::bytes, Armed::pause, Armed::end}) {
    CHECK(step(armed, Outcome::failed, {.torn = true}) == Step::reset);
    CHECK(step(armed, Outcome::failed) == Step::deliver);
  }
  CHECK(step(Armed::bytes, Outcome::fin, {.torn = true, .drained = true}) == Step::reset);
}
