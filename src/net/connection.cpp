#include "net/connection.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "core/session/access_line.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

Connection::Connection(Loop& loop, ConnectionStart start)
    : loop_(loop),
      source_counted_(start.source_counted),
      generation_(start.generation),
      slot_(start.slot),
      listener_(start.listener),
      started_ms_(loop.now_ms),
      active_ms_(loop.now_ms),
      snapshot_(std::move(start.snapshot)),
      peer_(start.peer) {
  fd_[index(Side::client)] = std::move(start.client);
  setup_ = std::make_unique<Setup>(config().listeners[listener_].protocol);
  loop_.shared.pending_hellos.fetch_add(1, std::memory_order_relaxed);
  set_deadline(config().timeouts.hello);
  advance({.kind = Kind::accepted});
}

void Connection::advance(Event event) {
  for (;;) {
    next_.reset();
    for (const Action& action : session_.step(event)) perform(action);
    if (!next_) return;
    event = *next_;
  }
}

void Connection::on_completion(const Completion& completion) {
  const Side side = completion.tag.side;
  // A buffer can come with any result; only received bytes keep it.
  if ((completion.flags & IORING_CQE_F_BUFFER) != 0 && completion.result <= 0) {
    const auto buffer = static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
    loop_.buffers->take(buffer);
    loop_.buffers->give(buffer);
  }
  switch (completion.tag.op) {
    case Op::receive:
      if (side == Side::backend && gated()) {
        if (const auto event = on_gated_received(completion)) advance(*event);
        return;
      }
      return advance(on_received(side, completion));
    case Op::send:
      if (side == Side::backend && std::exchange(send_paused_, false) &&
          completion.result != -ECANCELED) {
        return start_send(side);
      }
      return advance(on_sent(side, completion));
    case Op::connect:
      return advance(on_connected(completion));
    case Op::watch:
      return advance(on_watched(side, completion));
    case Op::accept:
    case Op::resolver:
    case Op::wake:
    case Op::notice:
    case Op::cancel:
      assert(false && "not an operation of a connection");
  }
}

Event Connection::on_received(Side side, const Completion& completion) {
  if (std::exchange(bulk_armed_[index(side)], false)) return on_bulk_readable(side, completion);
  switch (completion.result) {
    case 0:
      // Nothing tells of a reset that comes after the client's FIN; sending to it does.
      if (side == Side::client && gated()) loop_.plane->retire(plane_);
      return {.kind = Kind::eof, .side = side};
    case -ECANCELED:
      return {.kind = Kind::cancelled, .side = side, .operation = Operation::receive};
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS:
      loop_.counters.receives_deferred.add();
      return {.kind = Kind::receive_again, .side = side};
    default:
      if (completion.result < 0) {
        return {.kind = Kind::reset, .side = side, .lost = is_lost(-completion.result)};
      }
  }
  active_ms_ = loop_.now_ms;
  more_waiting_[index(side)] = (completion.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  if (session_.phase() == Phase::hello) return on_flight(completion);
  const auto length = static_cast<std::uint32_t>(completion.result);
  pipe(side).hold(*loop_.buffers,
                  static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT), length);
  if (session_.phase() != Phase::answering) {
    gauge_[index(side)].moved(length, loop_.now_ms);
    if (side == Side::client) advance_plane();
    return {.kind = Kind::received, .side = side};
  }
  pipe(side).release(*loop_.buffers, loop_.parking);
  discarded_ += length;
  return {.kind = discarded_ < limits::linger_bytes_max ? Kind::discarded : Kind::discarded_all,
          .side = side};
}

Event Connection::on_flight(const Completion& completion) {
  const auto buffer = static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  const std::uint8_t* bytes = loop_.buffers->take(buffer);
  auto& flight = setup_->flight;
  flight.insert(flight.end(), bytes, bytes + completion.result);
  loop_.buffers->give(buffer);
  if (flight.size() < setup_->needed) return {.kind = Kind::flight_incomplete};

  const auto invalid = [](FlightError error) {
    const EndReason reason = error == FlightError::oversized          ? EndReason::oversized
                             : error == FlightError::not_the_protocol ? EndReason::not_the_protocol
                                                                      : EndReason::malformed;
    return Event{.kind = Kind::flight_invalid, .reason = reason};
  };
  const auto needed = setup_->scanner.scan(flight);
  if (!needed) return invalid(needed.error());
  setup_->needed = *needed;
  if (*needed != 0) return {.kind = Kind::flight_incomplete};

  const auto parsed = setup_->scanner.parse(flight, loop_.hello_scratch);
  if (!parsed) return invalid(parsed.error());
  leave_hello();
  name_ = parsed->name();
  alpn_ = first_protocol(parsed->alpn_list);
  tls_version_ = parsed->version;
  ech_ = parsed->ech;
  route_ = snapshot_->routes.find(listener_, name_, parsed->alpn_list);
  if (route_ == nullptr) return {.kind = Kind::flight_refused, .reason = EndReason::no_route};
  setup_->targets.start(*route_, name_);
  return {.kind = Kind::flight_routed};
}

Event Connection::on_sent(Side side, const Completion& completion) {
  if (splice_[index(side)] != nullptr) return on_bulk_writable(side, completion);
  Pipe& sender = pipe(side);
  switch (completion.result) {
    case -ECANCELED:
      return {.kind = Kind::cancelled, .side = side, .operation = Operation::send};
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS:
    case -ENOMEM:
      break;
    default:
      if (completion.result < 0) {
        return {.kind = Kind::send_failed, .side = side, .lost = is_lost(-completion.result)};
      }
      active_ms_ = loop_.now_ms;
      if (!sender.sent(*loop_.buffers, loop_.parking,
                       static_cast<std::uint32_t>(completion.result))) {
        break;
      }
      // The flight is in there; the backend may speak before it has all of it.
      if (side == Side::client) setup_.reset();
      if (side == Side::backend) advance_plane();
      return {.kind = Kind::sent, .side = side};
  }
  loop_.counters.readers_stalled.add();
  const bool kept = sender.stall(*loop_.buffers, loop_.parking, {slot_, generation_},
                                 config().limits.relay_memory);
  return {.kind = kept ? Kind::blocked : Kind::overcommitted, .side = side};
}

Event Connection::on_connected(const Completion& completion) {
  if (session_.phase() == Phase::closing) {
    return {.kind = Kind::cancelled, .side = Side::backend, .operation = Operation::connect};
  }
  if (completion.result == 0) {
    loop_.silent.answered(backend_address_, loop_.now_ms);
    enter_relay();
    return {.kind = Kind::connected, .side = Side::backend};
  }
  if (completion.result == -EADDRNOTAVAIL && loop_.refusals_log.admit(loop_.now_ms)) {
    spdlog::warn(
        "no local port is left for connections to {}: many short connections wait in TIME_WAIT "
        "(widen net.ipv4.ip_local_port_range, set net.ipv4.tcp_tw_reuse=1 or give the backend more "
        "addresses)",
        backend_address_.to_string());
  }
  if (loop_.plane != nullptr) loop_.plane->leave(plane_);
  fd_[index(Side::backend)].reset();
  // -EINTR: our cancel has interrupted a connect that a thread of the kernel was waiting in.
  const bool timed_out = completion.result == -ECANCELED || completion.result == -EINTR ||
                         completion.result == -ETIMEDOUT;
  setup_->targets.failed(timed_out ? EndReason::connect_timeout : EndReason::unreachable);
  if (completion.result == -ECONNREFUSED) loop_.silent.answered(backend_address_, loop_.now_ms);
  // A neighbour that does not answer ARP is reported after seconds too.
  if (timed_out || completion.result == -EHOSTUNREACH) remember_silence();
  return {.kind = Kind::connect_failed, .side = Side::backend};
}

// Only what is configured by its address or name: clients could fill the list with names of theirs.
void Connection::remember_silence() {
  if (backend_->kind != Backend::Kind::address && backend_->kind != Backend::Kind::name) return;
  const auto waited = static_cast<std::uint64_t>(config().timeouts.connect.count());
  const std::uint64_t begun_ms = loop_.now_ms - std::min(waited, loop_.now_ms);
  if (!loop_.silent.add(backend_address_, begun_ms, loop_.now_ms)) return;
  if (!loop_.refusals_log.admit(loop_.now_ms)) return;
  spdlog::warn("{} does not answer; it is tried last for {} s", backend_address_.to_string(),
               limits::silent_ms / 1000);
}

Event Connection::on_watched(Side side, const Completion& completion) const {
  if (completion.result == -ECANCELED) {
    return {.kind = Kind::cancelled, .side = side, .operation = Operation::watch};
  }
  // While a receive is armed it finds the reset itself, behind the bytes that came before it;
  // asking for the error would take it away from there. A send that failed has taken it too, and
  // tells by broken().
  const bool asked = session_.holding(side) || session_.eof(side);
  const int error = asked ? take_error(fd(side)) : 0;
  if (error != 0 || (asked && session_.broken(side))) {
    return {.kind = Kind::hung_up, .side = side, .lost = error != 0 && is_lost(error)};
  }
  return {.kind = Kind::watch_ended, .side = side};
}

void Connection::on_resolved(const Resolution& resolution) {
  setup_->targets.resolved(resolution);
  advance({.kind = resolution.count > 0 ? Kind::resolved : Kind::unresolved});
}

void Connection::on_deadline() {
  switch (session_.phase()) {
    case Phase::draining:
      advance({.kind = Kind::half_closed});
      [[fallthrough]];
    case Phase::relaying: {
      const auto idle = static_cast<std::uint64_t>(config().timeouts.idle.count());
      const std::uint32_t unsent =
          unacknowledged_bytes(fd(Side::client)) + unacknowledged_bytes(fd(Side::backend));
      // Bytes may still move out of the kernel's send queues where we see none.
      if (unsent != last_unsent_) active_ms_ = loop_.now_ms;
      if (loop_.plane != nullptr && loop_.plane->moved(plane_)) active_ms_ = loop_.now_ms;
      last_unsent_ = unsent;
      if (active_ms_ + idle > loop_.now_ms) return loop_.deadlines.set(slot_, active_ms_ + idle);
      break;
    }
    case Phase::resolving:
      loop_.resolver->cancel(pack(tag(Op::resolver, Side::backend)));
      setup_->targets.failed(EndReason::unresolved);
      break;
    case Phase::resetting:
      if (!flushed()) return set_deadline(flush_interval);
      return advance({.kind = Kind::flushed});
    default:
      break;
  }
  advance({.kind = Kind::deadline});
}

void Connection::kill(EndReason reason) {
  advance({.kind = Kind::kill, .reason = reason});
}

}  // namespace sni
