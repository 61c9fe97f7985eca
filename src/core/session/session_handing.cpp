// A connection on its way to a plane that takes both sockets, and back.
//
// The plane gets them when nothing is in flight and nothing is held. While a slow reader delays that,
// the other direction stands still, so the wait is short: the deadline ends it. Otherwise two ends
// could wait for each other for ever. A socket with a full receive buffer drops acknowledgements
// whose number is beyond its window (tcp_acceptable_seq() in net/ipv4/tcp_output.c), and so does not
// learn that the other end has room.

#include "core/session/session.h"

namespace sni {

using Kind = Event::Kind;
using Act = Action::Kind;

// Stops receiving; bytes already held are still sent.
void Session::start_handing(Actions& actions) {
  phase_ = Phase::handing;
  if (armed_ != 0) actions.add(Act::rest);
  hand_over_at_rest(actions);
}

void Session::hand_over_at_rest(Actions& actions) {
  if (armed_ != 0 || holding_[0] || holding_[1]) return;
  armed_ |= bit(Operation::watch, Side::client);
  actions.add(Act::hand_over);
}

// Back in the relay. Operations that are still being cancelled are armed again when their cancel
// completes.
void Session::relay_again(Actions& actions) {
  phase_ = Phase::relaying;
  receive_again(actions);
  for (const Side side : {Side::client, Side::backend}) watch_blocked(side, actions);
}

void Session::receive_again(Actions& actions) {
  for (const Side side : {Side::client, Side::backend}) {
    const bool ended = eof_[index(side)] || broken_[index(other(side))];
    if (!holding_[index(side)] && !ended && !armed(Operation::receive, side)) {
      arm(actions, Operation::receive, side);
    }
  }
}

void Session::step_handing(const Event& event, Actions& actions) {
  switch (event.kind) {
    case Kind::received:
      holding_[index(event.side)] = true;
      return arm(actions, Operation::send, event.side);
    case Kind::sent:
      holding_[index(event.side)] = false;
      return hand_over_at_rest(actions);
    case Kind::receive_again:
    case Kind::watch_ended:
    case Kind::cancelled:
    case Kind::hand_over_waits:
    case Kind::half_closed:
    case Kind::wanted:
      return hand_over_at_rest(actions);
    case Kind::deadline:
      if (holding_[0] || holding_[1]) relay_again(actions);
      return;
    case Kind::handed_over:
      return finish(EndReason::none, actions);
    case Kind::hand_over_broken:
      return finish(event.reason, actions);
    case Kind::handed_back:
      return relay_again(actions);
    default:
      // A slow reader or an end, which the relay handles.
      phase_ = Phase::relaying;
      step_relay(event, actions);
      if (phase_ == Phase::relaying || phase_ == Phase::draining) receive_again(actions);
  }
}

}  // namespace sni
