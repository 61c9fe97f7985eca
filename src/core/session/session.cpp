#include "core/session/session.h"

#include <cassert>

namespace sni {

using Kind = Event::Kind;
using Act = Action::Kind;

const char* to_string(EndReason reason) {
  static constexpr const char* names[] = {"none",
                                          "done",
                                          "client_reset",
                                          "backend_reset",
                                          "client_lost",
                                          "backend_lost",
                                          "client_left",
                                          "nothing_sent",
                                          "not_the_protocol",
                                          "malformed",
                                          "oversized",
                                          "hello_timeout",
                                          "proxy_header",
                                          "shut_out",
                                          "no_route",
                                          "refused",
                                          "redirected",
                                          "forbidden",
                                          "unresolved",
                                          "unreachable",
                                          "route_full",
                                          "queue_full",
                                          "queue_timeout",
                                          "no_local_port",
                                          "no_descriptor",
                                          "connect_timeout",
                                          "idle_timeout",
                                          "half_closed_timeout",
                                          "hello_memory",
                                          "relay_memory",
                                          "cut",
                                          "killed",
                                          "internal"};
  static_assert(std::size(names) == end_reasons);
  return names[static_cast<std::size_t>(reason)];
}

const char* to_string(Phase phase) {
  static constexpr const char* names[] = {"hello",     "resolving", "queued",     "connecting",
                                          "relaying",  "draining",  "retreating", "handing",
                                          "answering", "resetting", "closing",    "closed"};
  static_assert(std::size(names) == static_cast<std::size_t>(Phase::closed) + 1);
  return names[static_cast<std::size_t>(phase)];
}

void Session::arm(Actions& actions, Operation operation, Side side) {
  assert(operation == Operation::connect || !armed(operation, side));
  armed_ |= bit(operation, side);
  switch (operation) {
    case Operation::receive:
      return actions.add(Act::receive, side);
    case Operation::send:
      return actions.add(Act::send, side);
    case Operation::connect:
      ++attempts_;
      return actions.add(Act::connect, side);
    case Operation::watch:
      return actions.add(Act::watch, side);
  }
}

// Clears the bit of the operation whose completion the event is.
void Session::complete(const Event& event) {
  const auto clear = [this](Operation operation, Side side) {
    assert(armed(operation, side));
    if (operation == Operation::connect && --attempts_ > 0) return;
    armed_ &= static_cast<std::uint8_t>(~bit(operation, side));
  };
  switch (event.kind) {
    case Kind::flight_incomplete:
    case Kind::flight_routed:
    case Kind::flight_refused:
    case Kind::flight_invalid:
    case Kind::received:
    case Kind::eof:
    case Kind::reset:
    case Kind::turned_away:
    case Kind::receive_again:
    case Kind::discarded:
    case Kind::discarded_all:
      return clear(Operation::receive, event.side);
    case Kind::sent:
    case Kind::blocked:
    case Kind::send_failed:
    case Kind::overcommitted:
      return clear(Operation::send, event.side);
    case Kind::connected:
    case Kind::connect_failed:
      return clear(Operation::connect, event.side);
    case Kind::hung_up:
    case Kind::watch_ended:
    case Kind::hand_over_waits:
    case Kind::handed_over:
    case Kind::handed_back:
    case Kind::hand_over_broken:
      return clear(Operation::watch, event.side);
    case Kind::cancelled:
      return clear(event.operation, event.side);
    case Kind::accepted:
    case Kind::target_ready:
    case Kind::target_named:
    case Kind::target_full:
    case Kind::target_exhausted:
    case Kind::resolved:
    case Kind::unresolved:
    case Kind::place_found:
    case Kind::place_refused:
    case Kind::flushed:
    case Kind::flight_late:
    case Kind::set_up_slowly:
    case Kind::attempt_due:
    case Kind::attempt_over:
    case Kind::half_closed:
    case Kind::wanted:
    case Kind::deadline:
    case Kind::kill:
      return;
  }
}

Actions Session::step(const Event& event) {
  assert(phase_ != Phase::closed);
  Actions actions;
  complete(event);
  if (event.kind == Kind::kill && phase_ < Phase::closing) {
    finish(event.reason, actions);
    return actions;
  }
  switch (phase_) {
    case Phase::hello:
    case Phase::resolving:
    case Phase::queued:
    case Phase::connecting:
      step_setup(event, actions);
      break;
    case Phase::relaying:
    case Phase::draining:
      step_relay(event, actions);
      break;
    case Phase::retreating:
      step_retreat(event, actions);
      break;
    case Phase::handing:
      step_handing(event, actions);
      break;
    case Phase::answering:
      step_answer(event, actions);
      break;
    case Phase::resetting:
      step_reset(event, actions);
      break;
    case Phase::closing:
    case Phase::closed:
      // Received before its cancel, and nobody will send it.
      if (event.kind == Kind::received) resets_[index(other(event.side))] = true;
      close_when_idle(actions);
      break;
  }
  return actions;
}

void Session::step_relay(const Event& event, Actions& actions) {
  const Side side = event.side;
  switch (event.kind) {
    case Kind::received:
      assert(!broken_[index(other(side))]);  // Otherwise send_failed would have ended this pipe.
      holding_[index(side)] = true;
      spoken_ = true;
      return arm(actions, Operation::send, side);
    case Kind::receive_again:
      return arm(actions, Operation::receive, side);
    case Kind::sent:
      holding_[index(side)] = false;
      return arm(actions, Operation::receive, side);
    case Kind::blocked:
      arm(actions, Operation::send, side);
      return watch_blocked(side, actions);
    case Kind::send_failed:
      // The target is gone, but bytes that it sent before must still be delivered. Its own pipe
      // ends with EOF or reset as soon as they are read; if that pipe has already ended, or nobody
      // takes its bytes either, so has the connection.
      holding_[index(side)] = false;
      broken_[index(other(side))] = true;
      if (eof_[index(other(side))] || broken_[index(side)]) {
        start_reset(other(side), event.lost, actions);
      }
      return;
    case Kind::overcommitted:
      return finish(EndReason::relay_memory, actions);
    case Kind::eof:
      return on_eof(side, actions);
    case Kind::turned_away:
      assert(!eof_[index(Side::backend)] && !spoken_);
      phase_ = Phase::retreating;
      if (armed_ != 0) actions.add(Act::cancel);
      return retreat_at_rest(actions);
    case Kind::reset:
    case Kind::hung_up:
      return start_reset(side, event.lost, actions);
    case Kind::watch_ended:
      return;
    case Kind::wanted:
      if (phase_ == Phase::relaying && !broken_[0] && !broken_[1]) start_handing(actions);
      return;
    case Kind::cancelled:  // By a hand-over that was abandoned meanwhile.
      if (event.operation == Operation::receive) arm(actions, Operation::receive, side);
      if (event.operation == Operation::watch) watch_blocked(side, actions);
      return;
    case Kind::half_closed:
      // Nothing more is received from the side that has ended: only a watch sees its reset.
      for (const Side ended : {Side::client, Side::backend}) {
        if (eof_[index(ended)] && !armed(Operation::watch, ended))
          arm(actions, Operation::watch, ended);
      }
      return;
    case Kind::deadline:
      return finish(event.reason == EndReason::none ? EndReason::idle_timeout : event.reason,
                    actions);
    default:
      assert(false && "not an event of this phase");
  }
}

// The writer of a pipe whose reader is slow: nothing is received from it that would show its reset.
void Session::watch_blocked(Side side, Actions& actions) {
  if (!armed(Operation::send, side) || armed(Operation::watch, side)) return;
  arm(actions, Operation::watch, side);
}

void Session::on_eof(Side side, Actions& actions) {
  if (broken_[index(side)]) {  // Our send got the error, so the read saw only EOF.
    return start_reset(side, false, actions);
  }
  eof_[index(side)] = true;
  // The close sends the second FIN: both receive queues were read to the end.
  if (eof_[index(other(side))]) return finish(EndReason::done, actions);
  phase_ = Phase::draining;
  actions.add(Act::shut_down, other(side));
}

// Bytes from before the reset are still to be delivered: the pipe of the side that was reset
// continues to its end, which the socket reports after the last received byte.
void Session::step_reset(const Event& event, Actions& actions) {
  if (event.kind == Kind::flushed) return finish(reason_, actions);
  if (event.side == reset_target_) return;
  switch (event.kind) {
    case Kind::received:
      holding_[index(event.side)] = true;
      return arm(actions, Operation::send, event.side);
    case Kind::blocked:
      return arm(actions, Operation::send, event.side);
    case Kind::sent:
      holding_[index(event.side)] = false;
      return arm(actions, Operation::receive, event.side);
    case Kind::receive_again:
      return arm(actions, Operation::receive, event.side);
    case Kind::overcommitted:
      return finish(reason_, actions);
    default:
      return;
  }
}

void Session::step_answer(const Event& event, Actions& actions) {
  switch (event.kind) {
    case Kind::blocked:
      return arm(actions, Operation::send, Side::backend);
    case Kind::sent:
      answered_ = true;
      if (eof_[index(Side::client)]) return finish(reason_, actions);
      actions.add(Act::shut_down, Side::client);
      // A client whose first flight is late is still being received from.
      if (!armed(Operation::receive, Side::client)) {
        arm(actions, Operation::receive, Side::client);
      }
      return;
    case Kind::discarded:
    case Kind::receive_again:
      return arm(actions, Operation::receive, Side::client);
    case Kind::eof:
      eof_[index(Side::client)] = true;
      if (!answered_) return;
      return finish(reason_, actions);
    case Kind::reset:
    case Kind::discarded_all:
    case Kind::send_failed:
    case Kind::deadline:
      return finish(reason_, actions);
    default:
      return;
  }
}

// The answer uses the pipe from the backend's side, in place of the backend's bytes.
void Session::start_answer(EndReason reason, Actions& actions) {
  phase_ = Phase::answering;
  reason_ = reason;
  armed_ |= bit(Operation::send, Side::backend);
  actions.add(Act::answer);
}

// Side `from` was reset. The other side gets an RST too, but only after all earlier bytes have
// arrived: an RST discards unsent bytes.
void Session::start_reset(Side from, bool lost, Actions& actions) {
  phase_ = Phase::resetting;
  if (from == Side::client) {
    reason_ = lost ? EndReason::client_lost : EndReason::client_reset;
  } else {
    reason_ = lost ? EndReason::backend_lost : EndReason::backend_reset;
  }
  reset_target_ = other(from);
  resets_[index(reset_target_)] = true;
  actions.add(Act::flush, reset_target_);
}

// An RST, not a FIN, tells a side that it has not got everything: what its pipe holds, or what would
// have come if the connection had not been ended by command.
void Session::finish(EndReason reason, Actions& actions) {
  phase_ = Phase::closing;
  reason_ = reason;
  const bool ended = reason == EndReason::killed || reason == EndReason::cut;
  for (const Side side : {Side::client, Side::backend}) {
    resets_[index(side)] |= ended || holding_[index(other(side))];
  }
  if (armed_ != 0) actions.add(Act::cancel);
  close_when_idle(actions);
}

void Session::close_when_idle(Actions& actions) {
  if (armed_ != 0) return;
  phase_ = Phase::closed;
  for (const Side side : {Side::client, Side::backend}) {
    if (resets_[index(side)]) actions.add(Act::reset, side);
  }
  actions.add(Act::close);
}

}  // namespace sni
