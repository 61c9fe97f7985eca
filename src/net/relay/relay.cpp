#include "net/relay/relay.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/loop/transfer_event.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

Relay::Relay(const RelayPlace& place, PlanePair pair, Flight flight,
             std::span<const std::uint8_t> first, std::size_t header_bytes)
    : place_(place),
      pair_(pair),
      active_ms_(place.loop.now_ms),
      header_bytes_(header_bytes),
      flight_(std::move(flight)) {
  pipe(Side::client).hold(first);
  place_.flow.record.plane = pair_.carrier;
}

// ---- Receive ----------------------------------------------------------------------------------

std::optional<Event> Relay::start_receive(Side side) {
  if (side == Side::backend && is_settled() && loop().planes.offer(pair_, view())) {
    gated_.start_receive(loop(), place_.sockets, pair_.sockhash, pipe(side).receive_length());
    return std::nullopt;
  }
  // UNIX sockets account for their queues in a way that splicing does not support.
  const bool may_splice =
      is_tcp_backend() && (side == Side::client || loop().planes.splice_sees_all(pair_));
  if (lane(side).start_receive(loop(), place_.sockets, may_splice)) return std::nullopt;
  loop().ring.receive(fd(side), BufferPool::group, receive_length(side),
                      !more_waiting_[index(side)], place_.sockets.tag(Op::receive, side));
  return std::nullopt;
}

std::uint32_t Relay::receive_length(Side side) const {
  const std::uint32_t length = pipe(side).receive_length();
  if (!loop().buffers->scarce()) return length;
  // No more than the reader has room for: the rest would have to be held.
  return std::clamp(send_room(fd(other(side))), limits::scarce_receive_bytes, length);
}

std::optional<Event> Relay::on_receive(Side side, const Completion& completion) {
  if (side == Side::backend && pair_.gated) return on_gated(completion);
  if (!lane(side).armed()) return on_buffer(side, completion);
  const Event event = lane(side).on_readable(loop(), place_.sockets, pipe(side),
                                             place_.settings.limits.relay_memory, completion);
  more_waiting_[index(side)] = event.kind == Kind::receive_again;
  if (event.kind == Kind::received) {
    active_ms_ = loop().now_ms;
    if (side == Side::client) progress();
  }
  return event;
}

std::optional<Event> Relay::on_gated(const Completion& completion) {
  if (completion.result == -ECANCELED && place_.session.phase() == Phase::closing) {
    return on_buffer(Side::backend, completion);
  }
  switch (gated_.on_receive(loop(), place_.sockets, pair_.sockhash,
                            pipe(Side::backend).receive_length(), completion)) {
    case GatedReader::Result::wait:
      return std::nullopt;
    case GatedReader::Result::again:
      return Event{.kind = Kind::receive_again, .side = Side::backend};
    case GatedReader::Result::eof:
      return Event{.kind = Kind::eof, .side = Side::backend};
    case GatedReader::Result::reset:
      return Event{.kind = Kind::reset, .side = Side::backend};
    case GatedReader::Result::deliver:
      break;
  }
  return on_buffer(Side::backend, completion);
}

Event Relay::on_buffer(Side side, const Completion& completion) {
  if (const auto event = event_of_receive(side, completion.result)) {
    if (event->kind == Kind::receive_again) loop().counters.receives_deferred.add();
    // A reset after the client's FIN is only found by sending to the client.
    if (event->kind == Kind::eof && side == Side::client) loop().planes.open_gate(pair_);
    return *event;
  }
  active_ms_ = loop().now_ms;
  more_waiting_[index(side)] = (completion.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  const auto length = static_cast<std::uint32_t>(completion.result);
  pipe(side).hold(*loop().buffers,
                  static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT), length);
  lane(side).measure(length, loop().now_ms);
  if (side == Side::client) progress();
  return {.kind = Kind::received, .side = side};
}

// ---- Send -------------------------------------------------------------------------------------

std::optional<Event> Relay::start_send(Side side) {
  if (pipe(side).stalled() || lane(side).stalled()) {
    wait(side).start(loop().ring, fd(other(side)), pipe(side).bytes_sent(),
                     place_.sockets.tag(Op::send, side));
    return std::nullopt;
  }
  if (!lane(side).holds_bytes() && side == Side::backend && pair_.gated &&
      gated_.holds_back_send(loop(), place_.sockets, pair_.sockhash)) {
    return std::nullopt;
  }
  return send_now(side);
}

std::optional<Event> Relay::send_now(Side side) {
  Pipe& sender = pipe(side);
  if (lane(side).holds_bytes()) {
    const std::uint64_t before = sender.bytes_sent();
    return counted(side, lane(side).send(loop(), place_.sockets, sender), before);
  }
  // The next receive completes at once, so these bytes leave in one segment with what it finds: a
  // FIN, as after the last bytes of a connection, or more bytes.
  const bool hold_back = more_waiting_[index(side)] && !pair_.gated && !loop().buffers->scarce();
  loop().ring.send(fd(other(side)), sender.held(), MSG_DONTWAIT | (hold_back ? MSG_MORE : 0),
                   place_.sockets.tag(Op::send, side));
  return std::nullopt;
}

std::optional<Event> Relay::on_send(Side side, const Completion& completion) {
  if (side == Side::backend && gated_.take_pause() && completion.result != -ECANCELED) {
    return start_send(side);
  }
  if (wait(side).take(completion.result)) {
    const bool closing = place_.session.phase() == Phase::closing;
    if (closing || completion.result == -ECANCELED) return event_of_send(side, -ECANCELED);
    return send_now(side);
  }
  const std::uint64_t before = pipe(side).bytes_sent();
  return counted(side, on_buffer_sent(side, completion), before);
}

Event Relay::on_buffer_sent(Side side, const Completion& completion) {
  Pipe& sender = pipe(side);
  const auto event = event_of_send(side, completion.result);
  if (event && event->kind != Kind::blocked) return *event;
  if (!event &&
      sender.sent(*loop().buffers, loop().parking, static_cast<std::uint32_t>(completion.result))) {
    // The sent bytes include the flight, which the backend gets first.
    if (side == Side::client && !flight_.empty()) flight_.release();
    return {.kind = Kind::sent, .side = side};
  }
  loop().counters.readers_stalled.add();
  const bool kept = sender.stall(*loop().buffers, loop().parking,
                                 {place_.sockets.slot, place_.sockets.generation},
                                 place_.settings.limits.relay_memory);
  return {.kind = kept ? Kind::blocked : Kind::overcommitted, .side = side};
}

// Returns the event after the bytes of a send are counted.
std::optional<Event> Relay::counted(Side side, std::optional<Event> event,
                                    std::uint64_t sent_before) {
  if (pipe(side).bytes_sent() != sent_before) active_ms_ = loop().now_ms;
  if (event && event->kind == Kind::sent && side == Side::backend) progress();
  return event;
}

// ---- Hand-over --------------------------------------------------------------------------------

std::variant<Event, std::chrono::milliseconds> Relay::hand_over() {
  for (const Side side : {Side::client, Side::backend}) {
    if (std::exchange(more_waiting_[index(side)], false)) push(fd(other(side)));
  }
  const FlowRecord& record = place_.flow.record;
  const IdleTimeouts timeouts =
      idle_timeouts(place_.settings.timeouts, *record.listener, record.route->config);
  const HandoverStep step = loop().planes.packet().step(pair_.packet, view(), timeouts.idle);
  switch (step.state) {
    case HandoverState::waiting:
      return step.again;
    case HandoverState::spliced:
      // Bytes moved by the relay count for the relay, not for the next plane.
      loop().ledger.settle(place_.flow, forwarded(Side::client), forwarded(Side::backend));
      loop().planes.packet().adopt(std::exchange(pair_.packet, no_ticket), place_.flow, view(),
                                   timeouts, loop().now_ms);
      pair_.packet_open = false;
      pair_.carrier = PlaneId::packet;
      return Event{.kind = Kind::handed_over};
    case HandoverState::declined:
      wanted_ = false;  // By what was sent on the way to rest.
      active_ms_ = loop().now_ms;
      return Event{.kind = Kind::handed_back};
    case HandoverState::broken:
      break;
  }
  spdlog::debug("packet: a hand-over broke: {}", step.why);
  return Event{.kind = Kind::hand_over_broken, .reason = EndReason::internal};
}

// ---- Idle, flush, end -------------------------------------------------------------------------

void Relay::keep_alive() {
  if (std::exchange(kept_alive_, true) || !is_tcp_backend()) return;
  set_keepalive(fd(Side::backend), place_.settings.tcp);
}

std::optional<std::uint64_t> Relay::idle_at(std::uint64_t idle_ms) {
  // Bytes may still leave the kernel's send queues without any event for us.
  const std::uint32_t unacknowledged_now = unacknowledged();
  if (std::exchange(last_unacknowledged_, unacknowledged_now) != unacknowledged_now) {
    active_ms_ = loop().now_ms;
  }
  if (loop().planes.moved(pair_)) active_ms_ = loop().now_ms;
  if (active_ms_ + idle_ms > loop().now_ms) return active_ms_ + idle_ms;
  return std::nullopt;
}

std::uint64_t Relay::idle_ms() {
  if (loop().planes.moved(pair_)) active_ms_ = loop().now_ms;
  return loop().now_ms - active_ms_;
}

bool Relay::flushed() {
  const Side target = place_.session.reset_target();
  const std::uint32_t unacknowledged_now = unacknowledged_bytes(fd(target));
  // A slow reader gets more time as long as it reads.
  if (std::exchange(last_unacknowledged_, unacknowledged_now) != unacknowledged_now) {
    active_ms_ = loop().now_ms;
  }
  if (loop().now_ms - active_ms_ >= limits::linger_ms_max) return true;
  return unacknowledged_now == 0 && !place_.session.armed(Operation::receive, other(target)) &&
         !place_.session.armed(Operation::send, other(target)) &&
         (target == Side::backend || loop().planes.client_drained(pair_, fd(Side::client)));
}

std::uint32_t Relay::unacknowledged() const {
  return unacknowledged_bytes(fd(Side::client)) + unacknowledged_bytes(fd(Side::backend));
}

std::uint64_t Relay::forwarded(Side side) const {
  if (side == Side::backend) {
    if (const auto sent = Planes::sent_to_client(pair_, fd(Side::client))) return *sent;
  }
  // The PROXY header did not come from the client.
  const std::uint64_t sent = pipe(side).bytes_sent();
  return side == Side::client ? sent - std::min(sent, header_bytes_) : sent;
}

void Relay::release() {
  place_.flow.record.plane = pair_.carrier;
  loop().planes.leave(pair_, /*connected=*/true, loop().now_ms);
  for (Pipe& each : pipes_) each.release(*loop().buffers, loop().parking);
  for (BulkLane& each : lanes_) each.release(loop());
}

PlaneView Relay::view() const {
  return {.client = fd(Side::client),
          .backend = fd(Side::backend),
          .sent_to_client = pipe(Side::backend).bytes_sent(),
          .sent_to_backend = forwarded(Side::client),
          .age_ms = loop().now_ms - place_.flow.record.started_ms,
          .wake = pack(place_.sockets.tag(Op::receive, Side::backend))};
}

}  // namespace sni
