// A backend whose bytes the kernel redirects behind the gate (net/planes/plane_sockhash.h): what it means
// to receive from it, and to send to its client. The session knows nothing of it; to it a receive
// is armed, and its result comes later. What is armed is one of
//
//   sleep  a poll for the hang-up alone (POLLIN would wake us for every segment); a notice that
//   bytes
//          have passed cancels it
//   bytes  a receive that does not wait: passed bytes, the FIN or the reset
//   pause  2 ms, because bytes are announced that cannot be read yet
//   end    2 ms, because the FIN is here and the backlog is not in the client's send queue yet
//
// Passed bytes may enter the client's send queue only behind the backlog, so a send waits in the
// same way. No event tells when a backlog is drained.

#include <poll.h>

#include <cerrno>

#include "net/connection.h"

namespace sni {

using Kind = Event::Kind;

void Connection::start_gated_receive() {
  const OpTag armed = tag(Op::receive, Side::backend);
  if (loop_.plane->pending(plane_) == 0 && loop_.plane->fall_asleep(plane_)) {
    gated_receive_ = GatedReceive::sleep;
    return loop_.ring.poll(fd(Side::backend), POLLRDHUP, armed);
  }
  gated_receive_ = GatedReceive::bytes;
  loop_.ring.receive_now(fd(Side::backend), BufferPool::group, pipe(Side::backend).receive_length(),
                         armed);
}

// nullopt: the receive goes on as something else.
std::optional<Event> Connection::on_gated_received(const Completion& completion) {
  if (completion.result == -ECANCELED && session_.phase() != Phase::closing) {
    return Event{.kind = Kind::receive_again, .side = Side::backend};  // By a notice.
  }
  if (completion.result <= 0 && loop_.plane->torn(plane_)) {
    return Event{.kind = Kind::reset, .side = Side::backend};
  }
  const OpTag armed = tag(Op::receive, Side::backend);
  switch (gated_receive_) {
    case GatedReceive::sleep:
      if (completion.result < 0) break;
      gated_receive_ = GatedReceive::bytes;
      loop_.ring.receive_now(fd(Side::backend), BufferPool::group,
                             pipe(Side::backend).receive_length(), armed);
      return std::nullopt;
    case GatedReceive::bytes:
      if (completion.result == 0) return on_gated_end();
      if (completion.result != -EAGAIN) break;
      gated_receive_ = GatedReceive::pause;
      loop_.ring.pause(armed);
      return std::nullopt;
    case GatedReceive::pause:
      if (completion.result != -ETIME) break;
      return Event{.kind = Kind::receive_again, .side = Side::backend};
    case GatedReceive::end:
      if (completion.result != -ETIME) break;
      return on_gated_end();
  }
  return on_received(Side::backend, completion);
}

std::optional<Event> Connection::on_gated_end() {
  if (loop_.plane->pending(plane_) > 0) {
    return Event{.kind = Kind::receive_again, .side = Side::backend};
  }
  if (loop_.plane->source_drained(plane_, fd(Side::backend)) &&
      loop_.plane->target_drained(plane_, fd(Side::client))) {
    return Event{.kind = Kind::eof, .side = Side::backend};
  }
  gated_receive_ = GatedReceive::end;
  loop_.ring.pause(tag(Op::receive, Side::backend));
  return std::nullopt;
}

bool Connection::hold_back_send() {
  if (loop_.plane->target_drained(plane_, fd(Side::client))) return false;
  send_paused_ = true;
  loop_.ring.pause(tag(Op::send, Side::backend));
  return true;
}

}  // namespace sni
