#include "net/connect/answering.h"

#include <span>

#include "net/loop/transfer_event.h"

namespace sni {

using Kind = Event::Kind;

void Answering::start_send() {
  const std::span left(reinterpret_cast<const std::uint8_t*>(answer_.data()) + sent_,
                       answer_.size() - sent_);
  loop_.ring.send(sockets_.fd(Side::client), left, /*msg_flags=*/0,
                  sockets_.tag(Op::send, Side::backend));
}

Event Answering::on_sent(const Completion& completion) {
  if (const auto event = event_of_send(Side::backend, completion.result)) return *event;
  sent_ += static_cast<std::size_t>(completion.result);
  return {.kind = sent_ == answer_.size() ? Kind::sent : Kind::blocked, .side = Side::backend};
}

void Answering::start_receive() {
  loop_.ring.receive(sockets_.fd(Side::client), BufferPool::group, limits::flight_receive_bytes,
                     /*poll_first=*/true, sockets_.tag(Op::receive, Side::client));
}

Event Answering::on_received(const Completion& completion) {
  if (const auto event = event_of_receive(Side::client, completion.result)) return *event;
  const auto buffer = static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  loop_.buffers->take(buffer);
  loop_.buffers->give(buffer);
  discarded_ += static_cast<std::uint32_t>(completion.result);
  return {.kind = discarded_ < limits::linger_bytes_max ? Kind::discarded : Kind::discarded_all};
}

}  // namespace sni
