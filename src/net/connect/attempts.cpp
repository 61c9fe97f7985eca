#include "net/connect/attempts.h"

#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/un.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/connect/source.h"
#include "net/socket.h"

namespace sni {
namespace {

socklen_t length_of(int family) {
  if (family == AF_UNIX) return sizeof(sockaddr_un);
  return family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

}  // namespace

OpTag Attempts::tag_of(std::size_t number) const {
  OpTag tag = sockets_.tag(Op::connect, Side::backend);
  tag.attempt = static_cast<std::uint8_t>(number & 0x7f);
  return tag;
}

std::size_t Attempts::free_number() {
  if (!first_.under_way) return 0;
  if (others_ == nullptr) others_ = std::make_unique<decltype(others_)::element_type>();
  std::size_t number = 1;
  while (at(number).under_way) ++number;
  assert(number < limits::attempts_max && "the session begins no more than these");
  return number;
}

std::optional<Attempts::Result> Attempts::start(const Target& target, std::string_view unix_path,
                                                BackendLease lease, const SocksTarget& asked,
                                                std::uint64_t until_ms) {
  const std::size_t number = free_number();
  if (number != 0) ++loop_.races;
  Attempt& attempt = at(number);
  attempt.under_way = true;
  attempt.target = target;
  attempt.lease = std::move(lease);
  if (const auto& upstream = flow_.record.route->upstream; upstream != nullptr) {
    attempt.dialog = std::make_unique<UpstreamDialog>(asked, upstream->login);
  }
  attempt.begun_ms = loop_.now_ms;
  attempt.until_ms = until_ms;
  put_off_next();
  if (unix_path.empty()) {
    to_sockaddr(target.endpoint, attempt.address);
  } else {
    sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
    unix_path.copy(local.sun_path, sizeof local.sun_path - 1);
    std::memcpy(&attempt.address, &local, sizeof local);
  }
  return connect(number, /*announced=*/true);
}

std::optional<Attempts::Result> Attempts::connect(std::size_t number, bool announced) {
  Attempt& attempt = at(number);
  const int family = attempt.address.ss_family;
  auto socket = open_backend_socket(family, settings_.tcp);
  if (!socket && lacks_descriptors(socket.error().sys_errno)) {
    // Clients refused in this turn hold descriptors until then; the backend is not at fault.
    loop_.ring.pause(tag_of(number));
    return std::nullopt;
  }
  if (!socket) {
    if (loop_.refusals_log.admit(loop_.now_ms)) spdlog::warn("{}", socket.error().what);
    return end(attempt, -socket.error().sys_errno);
  }
  attempt.socket = std::move(*socket);
  const int fd = attempt.socket.get();
  const Route& route = *flow_.record.route;
  const SourceConfig& source = route.config.source;
  if (source.is_set() && family != AF_UNIX) {
    if (const auto set = set_source(fd, family, source, flow_.record.client.ip); !set) {
      if (loop_.refusals_log.admit(loop_.now_ms)) {
        spdlog::warn("route {}: {}", route.config.names.front(), set.error().what);
      }
      const bool forbidden = set.error().sys_errno == EPERM || set.error().sys_errno == EACCES;
      return refused(attempt, forbidden ? AttemptError::not_permitted : AttemptError::no_source,
                     /*reached=*/false);
    }
  }
  if (family == AF_UNIX) {
    loop_.planes.decline(PACKET_DECLINE_NOT_TCP, attempt.target.endpoint);
  } else if (announced) {
    loop_.planes.announce(attempt.pair, sockets_.fd(Side::client), fd, attempt.target.endpoint,
                          {.packet = source.is_set() ? PACKET_DECLINE_SOURCE : PACKET_TAKEN,
                           .sockhash = route.upstream == nullptr},
                          loop_.now_ms);
  }
  loop_.ring.connect(fd, reinterpret_cast<sockaddr*>(&attempt.address), length_of(family),
                     tag_of(number));
  return std::nullopt;
}

std::optional<Attempts::Result> Attempts::on_completion(const Completion& completion) {
  const std::size_t number = completion.tag.attempt;
  Attempt& attempt = at(number);
  assert(attempt.under_way);
  if (!attempt.socket) {  // connect() waits for descriptors.
    if (completion.result == -ETIME && !attempt.cancelled) return connect(number, true);
    return end(attempt, -EMFILE);
  }
  if (attempt.talks) return on_dialog(number, completion.result);
  // The local port that a plane chose is in use for this backend: let the kernel choose.
  if (completion.result == -EADDRNOTAVAIL && attempt.pair.packet != no_ticket &&
      !attempt.cancelled) {
    loop_.planes.leave(attempt.pair, /*connected=*/true, loop_.now_ms);
    return connect(number, /*announced=*/false);
  }
  if (completion.result == 0 && attempt.dialog != nullptr && !attempt.cancelled) {
    attempt.talks = true;
    attempt.dialog->submit(loop_.ring, attempt.socket.get(), tag_of(number));
    return std::nullopt;
  }
  if (completion.result == 0 && !attempt.outrun && attempt.dialog == nullptr) {
    return Result{.target = attempt.target, .lasted_ms = loop_.now_ms - attempt.begun_ms};
  }
  const bool late = completion.result == 0 && !attempt.outrun;
  return end(attempt, late ? -ECANCELED : completion.result);
}

std::optional<Attempts::Result> Attempts::on_dialog(std::size_t number, std::int32_t result) {
  Attempt& attempt = at(number);
  auto outcome = attempt.dialog->on_completion(result);
  // A cancel may have come between two requests and found nothing.
  if (attempt.outrun || (!outcome && attempt.cancelled)) outcome = AttemptError::no_answer;
  if (!outcome) {
    attempt.dialog->submit(loop_.ring, attempt.socket.get(), tag_of(number));
    return std::nullopt;
  }
  if (*outcome == AttemptError::none) {
    return Result{.target = attempt.target, .lasted_ms = loop_.now_ms - attempt.begun_ms};
  }
  if (*outcome == AttemptError::no_answer) return end(attempt, -ECANCELED);
  return refused(attempt, *outcome, /*reached=*/true);
}

Attempts::Result Attempts::refused(Attempt& attempt, AttemptError error, bool reached) {
  Result ended = end(attempt, -ECANCELED);
  ended.error = error;
  ended.reached = reached;
  return ended;
}

PlanePair Attempts::take(const Completion& completion) {
  Attempt& won = at(completion.tag.attempt);
  sockets_.fds[index(Side::backend)] = std::move(won.socket);
  flow_.lease = std::move(won.lease);
  const PlanePair pair = won.pair;
  free(won);
  return pair;
}

void Attempts::free(Attempt& attempt) {
  if (&attempt != &first_) --loop_.races;
  attempt = {};
}

bool Attempts::take_next_due() {
  if (loop_.races < settings_.races_max) {
    next_due_ms_ = UINT64_MAX;
    return true;
  }
  loop_.counters.races_put_off.add();
  put_off_next();
  return false;
}

void Attempts::put_off_next() {
  next_due_ms_ =
      loop_.now_ms + static_cast<std::uint64_t>(settings_.timeouts.attempt_delay.count());
}

// `result` is the kernel's.
Attempts::Result Attempts::end(Attempt& attempt, std::int32_t result) {
  const auto limit = static_cast<std::uint64_t>(
      connect_timeout(settings_.timeouts, flow_.record.route->config).count());
  Result ended{.target = attempt.target,
               .sys_errno = attempt.outrun ? ECANCELED : -result,
               .reached = attempt.talks && attempt.dialog->asked(),
               .lasted_ms = loop_.now_ms - attempt.begun_ms,
               .outrun = attempt.outrun,
               .in_time = attempt.until_ms - attempt.begun_ms >= limit};
  loop_.planes.leave(attempt.pair, /*connected=*/result == 0, loop_.now_ms);
  free(attempt);
  return ended;
}

void Attempts::cancel(std::size_t number) {
  Attempt& attempt = at(number);
  if (!attempt.under_way || std::exchange(attempt.cancelled, true)) return;
  loop_.ring.cancel(tag_of(number));
}

void Attempts::give_up() {
  for (std::size_t i = 0; i < count(); ++i) {
    if (at(i).until_ms <= loop_.now_ms) cancel(i);
  }
}

void Attempts::outrun() {
  for (std::size_t i = 0; i < count(); ++i) {
    at(i).outrun = at(i).under_way;
    cancel(i);
  }
}

void Attempts::cancel_all() {
  for (std::size_t i = 0; i < count(); ++i) cancel(i);
}

void Attempts::release() {
  for (std::size_t i = 0; i < count(); ++i) {
    loop_.planes.leave(at(i).pair, /*connected=*/true, loop_.now_ms);
  }
}

std::uint64_t Attempts::over_at_ms() {
  std::uint64_t over_ms = UINT64_MAX;
  for (std::size_t i = 0; i < count(); ++i) {
    const Attempt& attempt = at(i);
    if (attempt.under_way && !attempt.cancelled) over_ms = std::min(over_ms, attempt.until_ms);
  }
  return over_ms;
}

}  // namespace sni
