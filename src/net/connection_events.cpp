// What happens to a connection, turned into events for its session.

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "net/connection.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

namespace {

// How long a client goes unwatched while its backend is not connected yet. Most attempts end sooner
// and need no watch.
constexpr std::uint64_t set_up_unwatched_ms = 50;

}  // namespace

void Connection::on_completion(const Completion& completion) {
  const Side side = completion.tag.side;
  // Any result can have a buffer; only received bytes keep it.
  if ((completion.flags & IORING_CQE_F_BUFFER) != 0 && completion.result <= 0) {
    const auto buffer = static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
    loop_.buffers->take(buffer);
    loop_.buffers->give(buffer);
  }
  std::optional<Event> event;
  switch (completion.tag.op) {
    case Op::receive:
      event = on_receive(side, completion);
      break;
    case Op::send:
      event = on_send(side, completion);
      break;
    case Op::connect:
      event = on_connect(completion);
      break;
    case Op::watch:
      event = on_watch(side, completion);
      break;
    default:
      assert(false && "not an operation of a connection");
  }
  if (event) advance(*event);
}

std::optional<Event> Connection::on_receive(Side side, const Completion& completion) {
  if (setup_ != nullptr) return setup_->on_received(completion);
  if (answering_ != nullptr) return answering_->on_received(completion);
  const auto event = relay_->on_receive(side, completion);
  if (side != Side::backend || !event) return event;
  return event->kind == Kind::eof || event->kind == Kind::reset ? on_backend_end(*event) : event;
}

// A backend that has sent nothing may not be the last one that is tried. If it resets, it is out, even
// if this connection cannot go elsewhere. The kernel may have moved bytes that no receive has seen.
std::optional<Event> Connection::on_backend_end(const Event& event) {
  const bool silent = relay_->carrier() == PlaneId::userspace &&
                      relay_->forwarded(Side::backend) == 0 && !session_.holding(Side::backend);
  if (!silent) return event;
  // After the client's FIN, a FIN is the backend's answer, and a reset is none.
  const bool in_vain = session_.phase() == Phase::relaying ||
                       (session_.phase() == Phase::draining && event.kind == Kind::reset);
  if (in_vain && !session_.spoken() && kept_ != nullptr && kept_->may_retry()) {
    reset_early_ = event.kind == Kind::reset;
    return Event{.kind = Kind::turned_away, .side = Side::backend};
  }
  if (event.kind == Kind::reset) {
    tell_reset(served_by_, backend_of(flow_.record), target_context_of(loop_));
  }
  return event;
}

std::optional<Event> Connection::on_send(Side side, const Completion& completion) {
  if (answering_ != nullptr) return answering_->on_sent(completion);
  return relay_->on_send(side, completion);
}

std::optional<Event> Connection::on_connect(const Completion& completion) {
  if (session_.phase() == Phase::closing) {
    return Event{.kind = Kind::cancelled, .side = Side::backend, .operation = Operation::connect};
  }
  return setup_->on_connected(completion);
}

std::optional<Event> Connection::on_watch(Side side, const Completion& completion) {
  if (completion.result == -ECANCELED) {
    return Event{.kind = Kind::cancelled, .side = side, .operation = Operation::watch};
  }
  if (session_.phase() == Phase::handing && completion.result == -ETIME) {
    return Event{.kind = Kind::hand_over_waits, .side = side};
  }
  if (completion.result < 0 && session_.phase() != Phase::closing) {
    watch_again(side, completion.result);
    return std::nullopt;
  }
  // An armed receive finds the reset itself, after the bytes that precede it; reading the error
  // here would take it away. A failed send has taken it too, and shows it by broken().
  const bool asked = setup_ != nullptr || session_.holding(side) || session_.eof(side);
  const int error = asked ? take_error(sockets_.fd(side)) : 0;
  if (setup_ != nullptr && error == 0 && completion.result > 0) {
    if (settings_->abort_on_close) return Event{.kind = Kind::hung_up, .side = side};
    half_closed_ = true;
    loop_.deadlines.set(sockets_.slot, loop_.now_ms + set_up_unwatched_ms);
  }
  if (error != 0 || (asked && session_.broken(side))) {
    return Event{.kind = Kind::hung_up, .side = side, .lost = error != 0 && is_lost(error)};
  }
  return Event{.kind = Kind::watch_ended, .side = side};
}

// The poll got no memory. The pause that replaces it ends with -ETIME.
void Connection::watch_again(Side side, std::int32_t result) {
  if (result == -ETIME) return watch(side);
  loop_.ring.pause(sockets_.tag(Op::watch, side));
}

void Connection::on_deadline() {
  if (relay_) relay_->keep_alive();
  if (kept_ != nullptr) drop_kept();
  switch (session_.phase()) {
    case Phase::hello:
      return advance({.kind = setup_->answers_late_flight() ? Kind::flight_late : Kind::deadline});
    case Phase::handing:  // Once it has begun, the hand-over has its own bounds.
      set_deadline(settings_->timeouts.idle);
      if (session_.holding(Side::client) || session_.holding(Side::backend)) {
        relay_->put_off_hand_over();
      }
      return advance({.kind = Kind::deadline});
    case Phase::draining:
      advance({.kind = Kind::half_closed});
      [[fallthrough]];
    case Phase::relaying: {
      const bool draining = session_.phase() == Phase::draining;
      const auto [idle, half_closed] = idle_timeouts();
      const auto limit = static_cast<std::uint64_t>((draining ? half_closed : idle).count());
      if (const auto at = relay_->idle_at(limit)) {
        const auto look_ms = static_cast<std::uint64_t>(half_closed_look.count());
        return set_relay_deadline(draining ? std::min(*at, loop_.now_ms + look_ms) : *at);
      }
      const bool own = draining && half_closed < idle;
      return advance({.kind = Kind::deadline,
                      .reason = own ? EndReason::half_closed_timeout : EndReason::idle_timeout});
    }
    case Phase::resolving:
    case Phase::queued:
    case Phase::connecting:
      return on_setup_deadline();
    case Phase::resetting:
      if (!relay_->flushed()) return set_deadline(flush_interval);
      return advance({.kind = Kind::flushed});
    default:
      break;
  }
  advance({.kind = Kind::deadline});
}

void Connection::on_place() {
  if (session_.phase() != Phase::queued) return;
  if (const auto event = setup_->on_place()) advance(*event);
}

void Connection::on_setup_deadline() {
  // A poll would find the FIN again and again, so this looks for a reset after it.
  if (half_closed_ && take_error(sockets_.fd(Side::client)) != 0) {
    return kill(EndReason::client_left);
  }
  if (const auto event = setup_->due(session_.phase())) {
    advance(*event);
  } else if (!half_closed_) {
    advance({.kind = Kind::set_up_slowly});
  }
  const Phase phase = session_.phase();
  if (phase == Phase::resolving || phase == Phase::queued || phase == Phase::connecting) {
    watch_setup();
  }
}

void Connection::watch_setup() {
  const bool watched = session_.armed(Operation::watch, Side::client) && !half_closed_;
  const std::uint64_t look_ms = watched ? UINT64_MAX : loop_.now_ms + set_up_unwatched_ms;
  const std::uint64_t due_ms = setup_->due_at_ms(session_.phase());
  const std::uint64_t next_ms = std::min(due_ms, look_ms);
  if (next_ms == UINT64_MAX) return loop_.deadlines.clear(sockets_.slot);
  loop_.deadlines.set(sockets_.slot, next_ms);
}

}  // namespace sni
