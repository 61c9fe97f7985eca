// Set-up, while all remaining backends are full: the wait for a place (core/route/place_queue.h).

#include <memory>

#include "net/connect/setup.h"

namespace sni {

using Kind = Event::Kind;

std::optional<Event> Setup::start_queue() {
  wait_ = std::make_unique<PlaceWait>(loop_.bell, pack(sockets_.tag(Op::wake, Side::backend)));
  bool joined = false;
  for (const BackendRef& backend : targets_.full()) {
    joined |= wait_->join(backend, flow_.record.route->config.queue);
  }
  if (!joined) {
    wait_.reset();
    targets_.not_placed(AttemptError::full);
    record_target();
    return Event{.kind = Kind::place_refused};
  }
  queued_ms_ = loop_.now_ms;
  queue_until_ms_ = loop_.now_ms + static_cast<std::uint64_t>(settings_.timeouts.queue.count());
  return std::nullopt;
}

// Called for the bell. nullopt: the wait has ended meanwhile.
std::optional<Event> Setup::on_place() {
  if (wait_ == nullptr || !wait_->granted()) return std::nullopt;
  targets_.placed(wait_->take());
  end_wait();
  return Event{.kind = Kind::place_found};
}

// Its time is over; a place may have been granted at the last moment.
std::optional<Event> Setup::leave_queue() {
  if (const auto found = on_place()) return found;
  end_wait();
  targets_.not_placed(AttemptError::queue_timeout);
  record_target();
  return Event{.kind = Kind::deadline};
}

// The time in the queue does not count for timeouts.setup.
void Setup::end_wait() {
  if (wait_ == nullptr) return;
  wait_.reset();
  const std::uint64_t waited_ms = loop_.now_ms - queued_ms_;
  flow_.record.queue_ms += static_cast<std::uint32_t>(waited_ms);
  until_ms_ += waited_ms;
}

}  // namespace sni
