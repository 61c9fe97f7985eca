#include "net/loop/transfer_event.h"

#include <cerrno>

#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

std::optional<Event> event_of_receive(Side side, std::int32_t result) {
  switch (result) {
    case 0:
      return Event{.kind = Kind::eof, .side = side};
    case -ECANCELED:
      return Event{.kind = Kind::cancelled, .side = side, .operation = Operation::receive};
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS:  // No buffer of the ring is free, or memory is short for a moment.
    case -ENOMEM:
      return Event{.kind = Kind::receive_again, .side = side};
    default:
      if (result > 0) return std::nullopt;
      return Event{.kind = Kind::reset, .side = side, .lost = is_lost(-result)};
  }
}

std::optional<Event> event_of_send(Side side, std::int32_t result) {
  switch (result) {
    case -ECANCELED:
      return Event{.kind = Kind::cancelled, .side = side, .operation = Operation::send};
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS:
    case -ENOMEM:
      return Event{.kind = Kind::blocked, .side = side};
    default:
      if (result >= 0) return std::nullopt;
      return Event{.kind = Kind::send_failed, .side = side, .lost = is_lost(-result)};
  }
}

}  // namespace sni
