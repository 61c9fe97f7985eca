// The directions of a connection that move a lot at a time, by splice(2): see net/relay/splice.h. The
// session sees the same receives and sends as ever; only how they are done differs.

#include <poll.h>

#include <cerrno>

#include "net/connection.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

namespace {

// Less room than this in the send buffer is not worth a call; a poll waits for more. What the poll
// then finds (a third of the buffer, tcp_poll) is taken however little it is.
constexpr std::uint32_t room_worth_a_call = 16 * 1024;
constexpr std::uint32_t any_room = 1;

}  // namespace

// UNIX sockets account for their queues in another way, and a backend's socket that redirect_skb
// serves, or soon may, hides from splice() what the program has passed.
bool Connection::may_splice(Side side) const {
  return backend_address_.port != 0 &&
         (side == Side::client || plane_.stage == PlanePair::Stage::userspace ||
          plane_.stage == PlanePair::Stage::local);
}

void Connection::start_bulk_receive(Side side) {
  if (!std::exchange(guarded_, true)) {
    guard_splice(fd(Side::client));
    guard_splice(fd(Side::backend));
  }
  if (patience_[index(side)].patient) {
    patience_[index(side)].since_ms = loop_.now_ms;
    if (!std::exchange(patience_[index(side)].queued, true)) {
      loop_.patience.add({.slot = slot_, .generation = generation_, .side = side}, loop_.now_ms);
    }
  }
  loop_.ring.poll(fd(side), POLLIN, tag(Op::receive, side));
}

void Connection::be_patient(Side side, bool patient) {
  if (std::exchange(patience_[index(side)].patient, patient) == patient) return;
  set_low_water(fd(side), patient ? static_cast<int>(limits::patience_bytes) : 1);
}

std::optional<std::uint64_t> Connection::on_patience_due(Side side) {
  auto& [patient, queued, since_ms] = patience_[index(side)];
  const bool waits = patient && bulk_armed_[index(side)];
  if (waits && loop_.now_ms < since_ms + Patience::wait_ms) return since_ms;
  queued = false;
  if (waits) {
    gauge_[index(side)].waited_in_vain();
    be_patient(side, false);
  }
  return std::nullopt;
}

// The poll of start_bulk_receive() has ended.
Event Connection::on_bulk_readable(Side side, const Completion& completion) {
  if (completion.result == -ECANCELED) {
    return {.kind = Kind::cancelled, .side = side, .operation = Operation::receive};
  }
  auto& splice = splice_[index(side)];
  splice = loop_.splices.borrow();
  const ssize_t n = splice == nullptr ? 0 : splice->fill(fd(side));
  if (n <= 0 && splice != nullptr) loop_.splices.give_back(std::move(splice));
  // No pipe, or the end; or urgent data, at which splice() stops as if it were the end
  // (tcp_splice_read) and which an ordinary receive passes over.
  if (n == 0) {
    gauge_[index(side)].refuse();
    more_waiting_[index(side)] = true;
    return {.kind = Kind::receive_again, .side = side};
  }
  if (n == -EAGAIN || n == -EINTR) return {.kind = Kind::receive_again, .side = side};
  if (n < 0) return {.kind = Kind::reset, .side = side, .lost = is_lost(static_cast<int>(-n))};
  active_ms_ = loop_.now_ms;
  gauge_[index(side)].moved(static_cast<std::uint32_t>(n), loop_.now_ms);
  if (side == Side::client) advance_plane();
  return {.kind = Kind::received, .side = side};
}

// Right after a receive the bytes are given on at once; when the reader has no room, a poll waits
// for some first.
void Connection::start_bulk_send(Side side) {
  if (bulk_stalled_[index(side)]) {
    return loop_.ring.poll(fd(other(side)), POLLOUT, tag(Op::send, side));
  }
  next_ = drain_bulk(side, room_worth_a_call);
}

// The poll of start_bulk_send() has ended.
Event Connection::on_bulk_writable(Side side, const Completion& completion) {
  if (completion.result == -ECANCELED) {
    return {.kind = Kind::cancelled, .side = side, .operation = Operation::send};
  }
  return drain_bulk(side, any_room);
}

Event Connection::drain_bulk(Side side, std::uint32_t least) {
  auto& splice = splice_[index(side)];
  const ssize_t n = splice->drain(fd(other(side)), least);
  if (n > 0) {
    active_ms_ = loop_.now_ms;
    pipe(side).count_sent(static_cast<std::uint64_t>(n));
  }
  bulk_stalled_[index(side)] = splice->held() > 0;
  if (splice->held() == 0) {
    loop_.splices.give_back(std::move(splice));
    if (side == Side::backend) advance_plane();
    return {.kind = Kind::sent, .side = side};
  }
  if (n >= 0 || n == -EAGAIN || n == -EINTR || n == -ENOBUFS || n == -ENOMEM) {
    loop_.counters.readers_stalled.add();
    return {.kind = Kind::blocked, .side = side};
  }
  loop_.splices.give_back(std::move(splice));
  return {.kind = Kind::send_failed, .side = side, .lost = is_lost(static_cast<int>(-n))};
}

}  // namespace sni
