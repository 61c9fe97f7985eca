// From the hello to a connected backend, and back from one that turns the client away.

#include <cassert>

#include "core/limits.h"
#include "core/session/session.h"

namespace sni {

using Kind = Event::Kind;
using Act = Action::Kind;

void Session::step_setup(const Event& event, Actions& actions) {
  switch (event.kind) {
    case Kind::accepted:
    case Kind::flight_incomplete:
    case Kind::receive_again:
      return arm(actions, Operation::receive, Side::client);
    case Kind::flight_routed:
    case Kind::resolved:
    case Kind::unresolved:
    case Kind::place_found:
    case Kind::place_refused:
      phase_ = Phase::connecting;
      return actions.add(Act::next_target);
    case Kind::connect_failed:
      return on_attempt_failed(actions);
    case Kind::target_named:
      phase_ = Phase::resolving;
      return actions.add(Act::resolve);
    case Kind::target_full:
      phase_ = Phase::queued;
      return actions.add(Act::queue);
    case Kind::target_ready:
      return arm(actions, Operation::connect, Side::backend);
    case Kind::connected:
      return on_attempt_won(actions);
    case Kind::target_exhausted:
      exhausted_ = true;
      if (attempts_ > 0) return;  // One of these may yet be answered.
      return start_answer(event.reason, actions);
    case Kind::attempt_due:
      if (phase_ != Phase::connecting || won_ || exhausted_) return;
      if (attempts_ == 0 || attempts_ >= limits::attempts_max) return;
      return actions.add(Act::next_target);
    case Kind::attempt_over:
      if (!won_) actions.add(Act::give_up);  // Their completions report connect_failed.
      return;
    case Kind::flight_refused:
      return start_answer(event.reason, actions);
    case Kind::flight_late:
      return start_answer(EndReason::hello_timeout, actions);
    case Kind::flight_invalid:
      return finish(event.reason, actions);
    case Kind::eof:
    case Kind::reset:
    case Kind::hung_up:
      return finish(event.reason == EndReason::none ? EndReason::client_left : event.reason,
                    actions);
    case Kind::set_up_slowly:
      // Nothing is received from the client meanwhile, so only a watch sees that it has left.
      if (!armed(Operation::watch, Side::client)) arm(actions, Operation::watch, Side::client);
      return;
    case Kind::watch_ended:
      return;
    case Kind::deadline:
      if (phase_ == Phase::hello) return finish(EndReason::hello_timeout, actions);
      phase_ = Phase::connecting;  // The question or the wait is over.
      return actions.add(Act::next_target);
    default:
      assert(false && "not an event of this phase");
  }
}

// The next attempt begins at once, unless its target is already being looked for.
void Session::on_attempt_failed(Actions& actions) {
  if (won_) {
    if (attempts_ == 0) begin_relay(actions);
    return;
  }
  if (phase_ == Phase::resolving || phase_ == Phase::queued || (exhausted_ && attempts_ > 0))
    return;
  phase_ = Phase::connecting;
  actions.add(Act::next_target);
}

void Session::on_attempt_won(Actions& actions) {
  assert(!won_);
  won_ = true;
  const bool asking = phase_ == Phase::resolving || phase_ == Phase::queued;
  phase_ = Phase::connecting;
  if (asking || attempts_ > 0) actions.add(Act::cancel_others);
  if (attempts_ == 0) begin_relay(actions);
}

void Session::begin_relay(Actions& actions) {
  phase_ = Phase::relaying;
  holding_[index(Side::client)] = true;  // The first flight, as received.
  actions.add(Act::begin_relay);
  arm(actions, Operation::send, Side::client);
  arm(actions, Operation::receive, Side::backend);
}

// The client may close, or send more, before its receive is cancelled. The next backend's relay
// sees a close again, as it does one from before, but bytes beyond the first flight could not be
// delivered.
void Session::step_retreat(const Event& event, Actions& actions) {
  switch (event.kind) {
    case Kind::received:
      holding_[index(event.side)] = true;
      return start_reset(Side::backend, false, actions);
    case Kind::reset:
    case Kind::hung_up:
      return finish(event.lost ? EndReason::client_lost : EndReason::client_reset, actions);
    case Kind::deadline:
      return finish(event.reason == EndReason::none ? EndReason::idle_timeout : event.reason,
                    actions);
    default:
      return retreat_at_rest(actions);
  }
}

void Session::retreat_at_rest(Actions& actions) {
  if (armed_ != 0) return;
  phase_ = Phase::connecting;
  holding_[index(Side::client)] = false;
  broken_[index(Side::backend)] = false;
  eof_[index(Side::client)] = false;
  won_ = exhausted_ = false;
  actions.add(Act::retreat);
  actions.add(Act::next_target);
}

}  // namespace sni
