#include "net/planes/gated_reader.h"

#include <poll.h>

#include <cerrno>

namespace sni {

namespace {

Gate::Outcome outcome_of(Gate::Armed armed, std::int32_t result) {
  switch (result) {
    case -ECANCELED:
      return Gate::Outcome::woken;
    case -EAGAIN:
      return Gate::Outcome::nothing;
    case -ETIME:
      return Gate::Outcome::time;
    case 0:
      return armed == Gate::Armed::sleep ? Gate::Outcome::hung_up : Gate::Outcome::fin;
    default:
      break;
  }
  if (result < 0) return Gate::Outcome::failed;
  return armed == Gate::Armed::sleep ? Gate::Outcome::hung_up : Gate::Outcome::bytes;
}

}  // namespace

void GatedReader::start_receive(Loop& loop, const Sockets& sockets, PlaneTicket ticket,
                                std::uint32_t length) {
  PlaneSockhash& plane = loop.planes.sockhash();
  const bool quiet = plane.pending(ticket) == 0 && plane.fall_asleep(ticket);
  arm(loop, sockets, gate_.start(quiet), length);
}

GatedReader::Result GatedReader::on_receive(Loop& loop, const Sockets& sockets, PlaneTicket ticket,
                                            std::uint32_t length, const Completion& completion) {
  const PlaneSockhash& plane = loop.planes.sockhash();
  const Gate::Outcome outcome = outcome_of(gate_.armed(), completion.result);
  const bool at_end = outcome == Gate::Outcome::fin || outcome == Gate::Outcome::time;
  Gate::Facts facts{.torn = completion.result <= 0 && plane.torn(ticket)};
  if (at_end) {
    facts.pending = plane.pending(ticket) > 0;
    facts.drained = !facts.pending && plane.source_drained(ticket, sockets.fd(Side::backend)) &&
                    plane.target_drained(ticket, sockets.fd(Side::client));
  }
  const Gate::Step step = gate_.on(outcome, facts);
  switch (step) {
    case Gate::Step::deliver:
      return Result::deliver;
    case Gate::Step::again:
      return Result::again;
    case Gate::Step::eof:
      return Result::eof;
    case Gate::Step::reset:
      return Result::reset;
    default:
      arm(loop, sockets, step, length);
      return Result::wait;
  }
}

void GatedReader::arm(Loop& loop, const Sockets& sockets, Gate::Step step, std::uint32_t length) {
  const OpTag tag = sockets.tag(Op::receive, Side::backend);
  const int backend = sockets.fd(Side::backend);
  switch (step) {
    case Gate::Step::arm_sleep:
      return loop.ring.poll(backend, POLLRDHUP, tag);
    case Gate::Step::arm_pause:
      return loop.ring.pause(tag);
    default:
      return loop.ring.receive_now(backend, BufferPool::group, length, tag);
  }
}

// No event tells when a backlog is drained.
bool GatedReader::holds_back_send(Loop& loop, const Sockets& sockets, PlaneTicket ticket) {
  if (loop.planes.sockhash().target_drained(ticket, sockets.fd(Side::client))) return false;
  send_paused_ = true;
  loop.ring.pause(sockets.tag(Op::send, Side::backend));
  return true;
}

}  // namespace sni
