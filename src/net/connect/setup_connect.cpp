// Set-up, last part: connects to the chosen targets, and prepares the header that the backend gets
// before the client's first byte.

#include <algorithm>

#include "net/connect/send_proxy.h"
#include "net/connect/setup.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

std::optional<Event> Setup::start_connect() {
  if (connecting_since_ms_ == 0) connecting_since_ms_ = loop_.now_ms;
  ++flow_.record.attempts;
  const Target& target = targets_.target();
  const auto failed =
      attempts_.start(target, target.endpoint.port == 0 ? targets_.path() : std::string_view(),
                      targets_.lease(target), targets_.socks_target(target), attempt_until_ms());
  if (!failed) return std::nullopt;
  return on_attempt(*failed);
}

std::optional<Event> Setup::on_connected(const Completion& completion) {
  const auto result = attempts_.on_completion(completion);
  if (!result) return std::nullopt;
  if (result->sys_errno == 0) {
    pair_ = attempts_.take(completion);
    flow_.lease.take_place(targets_.take_place(result->target));
    won_ = result->target;
    loop_.counters.connect_times.add(result->lasted_ms);
  }
  return on_attempt(*result);
}

Event Setup::on_attempt(const Attempts::Result& result) {
  // A cancelled attempt, outrun by another, does not affect the connection.
  if (result.outrun) {
    const auto delay = static_cast<std::uint64_t>(settings_.timeouts.attempt_delay.count());
    if (result.lasted_ms >= delay) {
      targets_.outrun(result.target, result.lasted_ms, result.reached, target_context());
    }
    return {.kind = Kind::connect_failed, .side = Side::backend};
  }
  const std::uint64_t waited_ms = result.in_time ? std::max<std::uint64_t>(result.lasted_ms, 1) : 0;
  if (result.error != AttemptError::none) {
    targets_.refused(result.target, result.error, result.reached, target_context());
  } else if (result.sys_errno != 0 && result.reached) {
    targets_.unanswered(result.target, waited_ms, target_context());
  } else {
    targets_.connected(result.target, result.sys_errno, waited_ms, target_context());
  }
  record_target();
  flow_.record.connect_ms = static_cast<std::uint32_t>(loop_.now_ms - connecting_since_ms_);
  const bool connected = result.error == AttemptError::none && result.sys_errno == 0;
  return {.kind = connected ? Kind::connected : Kind::connect_failed, .side = Side::backend};
}

void Setup::turned_away(bool by_reset) {
  --retries_left_;
  flow_.lease = {};
  flow_.record.plane = PlaneId::none;
  targets_.turned_away(won_, by_reset, target_context());
  record_target();
}

void Setup::cancel_others() {
  attempts_.outrun();
  end_wait();
  loop_.resolver->cancel(pack(sockets_.tag(Op::resolver, Side::backend)));
}

std::optional<Event> Setup::due(Phase phase) {
  if (phase == Phase::resolving && loop_.now_ms >= question_until_ms_) {
    on_resolve_timeout();
    return Event{.kind = Kind::deadline};
  }
  if (phase == Phase::queued && loop_.now_ms >= queue_until_ms_) return leave_queue();
  if (loop_.now_ms >= attempts_.over_at_ms()) return Event{.kind = Kind::attempt_over};
  if (loop_.now_ms < attempts_.next_due_ms()) return std::nullopt;
  if (!attempts_.take_next_due()) return std::nullopt;
  return Event{.kind = Kind::attempt_due};
}

std::uint64_t Setup::due_at_ms(Phase phase) {
  const std::uint64_t connects_ms = std::min(attempts_.over_at_ms(), attempts_.next_due_ms());
  if (phase == Phase::queued) return std::min(connects_ms, queue_until_ms_);
  return phase == Phase::resolving ? std::min(connects_ms, question_until_ms_) : connects_ms;
}

void Setup::release() {
  if (connecting_since_ms_ != 0 && flow_.record.connect_ms == 0) {
    flow_.record.connect_ms = static_cast<std::uint32_t>(loop_.now_ms - connecting_since_ms_);
  }
  end_wait();
  targets_.leave_places();
  loop_.planes.leave(pair_, /*connected=*/true, loop_.now_ms);
  attempts_.release();
}

void Setup::tell_backend() {
  const ProxyForm& form = flow_.record.route->send_proxy(&targets_.backend_of(won_));
  // An earlier backend may have had a header.
  if (form.version == ProxyVersion::none) return flight_.drop_header();
  put_proxy_header(
      flight_, form, flow_.record,
      {.destination = destination_ ? *destination_ : local_of(sockets_.fd(Side::client)),
       .run = loop_.shared.run});
}

}  // namespace sni
