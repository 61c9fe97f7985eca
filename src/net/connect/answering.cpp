#include "net/connect/answering.h"

#include <cerrno>
#include <span>

#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

void Answering::start_send() {
  const std::span left(reinterpret_cast<const std::uint8_t*>(answer_.data()) + sent_,
                       answer_.size() - sent_);
  loop_.ring.send(sockets_.fd(Side::client), left, /*msg_flags=*/0,
                  sockets_.tag(Op::send, Side::backend));
}

Event Answering::on_sent(const Completion& completion) {
  switch (completion.result) {
    case -ECANCELED:
      return {.kind = Kind::cancelled, .side = Side::backend, .operation = Operation::send};
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS:
    case -ENOMEM:
      return {.kind = Kind::blocked, .side = Side::backend};
    default:
      break;
  }
  if (completion.result < 0) {
    return {.kind = Kind::send_failed, .side = Side::backend, .lost = is_lost(-completion.result)};
  }
  sent_ += static_cast<std::size_t>(completion.result);
  return {.kind = sent_ == answer_.size() ? Kind::sent : Kind::blocked, .side = Side::backend};
}

void Answering::start_receive() {
  loop_.ring.receive(sockets_.fd(Side::client), BufferPool::group, limits::flight_receive_bytes,
                     /*poll_first=*/true, sockets_.tag(Op::receive, Side::client));
}

Event Answering::on_received(const Completion& completion) {
  switch (completion.result) {
    case 0:
      return {.kind = Kind::eof};
    case -ECANCELED:
      return {.kind = Kind::cancelled, .operation = Operation::receive};
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS:
      return {.kind = Kind::receive_again};
    default:
      if (completion.result < 0) return {.kind = Kind::reset, .lost = is_lost(-completion.result)};
  }
  const auto buffer = static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  loop_.buffers->take(buffer);
  loop_.buffers->give(buffer);
  discarded_ += static_cast<std::uint32_t>(completion.result);
  return {.kind = discarded_ < limits::linger_bytes_max ? Kind::discarded : Kind::discarded_all};
}

}  // namespace sni
