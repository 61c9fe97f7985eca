// What a connection does when core/session/session says so: in the order of a connection's life.

#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "core/hello/answer.h"
#include "core/session/access_line.h"
#include "net/connection.h"
#include "net/log.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

namespace {

constexpr std::chrono::milliseconds linger_max{limits::linger_ms_max};
// How long a side may be half-closed before it is watched for a reset: most connections end sooner
// and need no watch.
constexpr std::chrono::milliseconds half_closed_unwatched{1000};

constexpr Op op_of(Operation operation) {
  switch (operation) {
    case Operation::receive:
      return Op::receive;
    case Operation::send:
      return Op::send;
    case Operation::connect:
      return Op::connect;
    case Operation::watch:
      return Op::watch;
  }
  return Op::cancel;
}

// What the client is told; `named`: it asked for somebody.
Answer answer_to(Protocol protocol, EndReason reason, bool named) {
  const bool no_route = reason == EndReason::no_route || reason == EndReason::forbidden;
  if (protocol == Protocol::tls) {
    return no_route ? Answer::tls_unrecognized_name : Answer::tls_internal_error;
  }
  if (no_route) return named ? Answer::http_misdirected : Answer::http_not_found;
  return reason == EndReason::connect_timeout ? Answer::http_gateway_timeout
                                              : Answer::http_bad_gateway;
}

}  // namespace

void Connection::perform(const Action& action) {
  switch (action.kind) {
    case Action::Kind::receive:
      return start_receive(action.side);
    case Action::Kind::send:
      return start_send(action.side);
    case Action::Kind::answer:
      return start_answer();
    case Action::Kind::next_target:
      return choose_target();
    case Action::Kind::resolve:
      return start_resolve();
    case Action::Kind::connect:
      return start_connect();
    case Action::Kind::watch:
      // No events asked for: only errors and hang-ups, which are always reported.
      return loop_.ring.poll(fd(action.side), 0, tag(Op::watch, action.side));
    case Action::Kind::shut_down:
      shutdown(fd(action.side), SHUT_WR);
      if (session_.phase() == Phase::draining) {
        set_deadline(std::min(half_closed_unwatched, config().timeouts.idle));
      }
      return;
    case Action::Kind::flush:
      return flush();
    case Action::Kind::cancel:
      return start_cancel();
    case Action::Kind::reset:
      return reset_on_close(fd(action.side));
    case Action::Kind::close:
      return close();
  }
}

void Connection::start_receive(Side side) {
  if (side == Side::backend && loop_.plane != nullptr &&
      (gated() || loop_.plane->hand_over(plane_, plane_view(), pack(tag(Op::receive, side))))) {
    return start_gated_receive();
  }
  const bool bulk = gauge_[index(side)].bulk() && may_splice(side);
  be_patient(side, bulk && gauge_[index(side)].patient());
  if (bulk) {
    bulk_armed_[index(side)] = true;
    return start_bulk_receive(side);
  }
  const Pipe& receiver = pipe(side);
  // A new client's hello is mostly there already; otherwise the last receive said what is.
  const bool expect_nothing = !more_waiting_[index(side)] && session_.phase() != Phase::hello;
  std::uint32_t length = receiver.receive_length();
  if (session_.phase() == Phase::hello) {
    length = limits::flight_receive_bytes;
  } else if (loop_.buffers->scarce()) {
    // No more than the reader has room for: what it leaves would have to be held.
    length = std::clamp(send_room(fd(other(side))), limits::scarce_receive_bytes, length);
  }
  loop_.ring.receive(fd(side), BufferPool::group, length, expect_nothing, tag(Op::receive, side));
}

void Connection::start_send(Side side) {
  if (splice_[index(side)] != nullptr) return start_bulk_send(side);
  Pipe& sender = pipe(side);
  // What follows a part that was sent has waited already.
  if (side == Side::backend && gated() && !sender.stalled() && hold_back_send()) return;
  if (side == Side::client && setup_ != nullptr && sender.held().empty()) {
    sender.hold(setup_->flight);
  }
  loop_.ring.send(fd(other(side)), sender.held(), sender.stalled() ? 0 : MSG_DONTWAIT,
                  tag(Op::send, side));
}

void Connection::start_answer() {
  const Protocol protocol = config().listeners[listener_].protocol;
  leave_hello();
  pipe(Side::backend).hold(answer_bytes(answer_to(protocol, session_.reason(), !name_.empty())));
  set_deadline(linger_max);
  loop_.ring.send(fd(Side::client), pipe(Side::backend).held(), 0, tag(Op::send, Side::backend));
}

void Connection::choose_target() {
  TargetList& targets = setup_->targets;
  sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
  switch (targets.next(*snapshot_, loop_.silent, loop_.now_ms)) {
    case TargetList::Next::endpoint:
      backend_ = &targets.backend();
      backend_address_ = targets.endpoint();
      to_sockaddr(backend_address_, setup_->address);
      break;
    case TargetList::Next::unix_path:
      backend_ = &targets.backend();
      backend_address_ = {};
      targets.path().copy(local.sun_path, sizeof local.sun_path - 1);
      std::memcpy(&setup_->address, &local, sizeof local);
      break;
    case TargetList::Next::name:
      next_ = Event{.kind = Kind::target_named};
      return;
    case TargetList::Next::exhausted:
      next_ = Event{.kind = Kind::target_exhausted, .reason = targets.why()};
      return;
  }
  next_ = Event{.kind = Kind::target_ready};
}

void Connection::start_resolve() {
  set_deadline(config().timeouts.connect);
  const TargetList& targets = setup_->targets;
  const auto answer = loop_.resolver->resolve(
      targets.name(),
      targets.name_is_configured() ? Resolver::Source::configuration : Resolver::Source::client,
      pack(tag(Op::resolver, Side::backend)), loop_.now_ms);
  if (!answer) return;
  setup_->targets.resolved(*answer);
  next_ = Event{.kind = answer->count > 0 ? Kind::resolved : Kind::unresolved};
}

void Connection::start_connect() {
  set_deadline(config().timeouts.connect);
  auto socket = open_backend_socket(setup_->address.ss_family, config().timeouts.idle);
  if (!socket) {
    if (loop_.refusals_log.admit(loop_.now_ms)) spdlog::warn("{}", socket.error().what);
    setup_->targets.failed(EndReason::unreachable);
    next_ = Event{.kind = Kind::connect_failed, .side = Side::backend};
    return;
  }
  fd_[index(Side::backend)] = std::move(*socket);
  if (loop_.plane != nullptr && setup_->address.ss_family != AF_UNIX) {
    loop_.plane->announce(plane_, fd(Side::client), fd(Side::backend));
  }
  const socklen_t length = setup_->address.ss_family == AF_UNIX    ? sizeof(sockaddr_un)
                           : setup_->address.ss_family == AF_INET6 ? sizeof(sockaddr_in6)
                                                                   : sizeof(sockaddr_in);
  loop_.ring.connect(fd(Side::backend), reinterpret_cast<sockaddr*>(&setup_->address), length,
                     tag(Op::connect, Side::backend));
}

void Connection::start_cancel() {
  for (const Operation operation :
       {Operation::receive, Operation::send, Operation::connect, Operation::watch}) {
    for (const Side side : {Side::client, Side::backend}) {
      if (session_.armed(operation, side)) loop_.ring.cancel(tag(op_of(operation), side));
    }
  }
}

void Connection::flush() {
  active_ms_ = loop_.now_ms;
  if (flushed()) {
    next_ = Event{.kind = Kind::flushed};
  } else {
    set_deadline(flush_interval);
  }
}

bool Connection::flushed() {
  const Side target = session_.reset_target();
  const std::uint32_t unsent = unacknowledged_bytes(fd(target));
  // A slow reader is given its time as long as it reads.
  if (std::exchange(last_unsent_, unsent) != unsent) active_ms_ = loop_.now_ms;
  if (loop_.now_ms - active_ms_ >= limits::linger_ms_max) return true;
  return unsent == 0 && !session_.armed(Operation::receive, other(target)) &&
         !session_.armed(Operation::send, other(target)) &&
         (target == Side::backend || !gated() ||
          loop_.plane->target_drained(plane_, fd(Side::client)));
}

void Connection::close() {
  log_end();
  if (loop_.plane != nullptr) loop_.plane->leave(plane_);
  loop_.deadlines.clear(slot_);
  loop_.resolver->cancel(pack(tag(Op::resolver, Side::backend)));
  leave_hello();
  for (Pipe& each : pipe_) each.release(*loop_.buffers, loop_.parking);
  for (auto& each : splice_) {
    if (each != nullptr) loop_.splices.give_back(std::move(each));
  }
  for (UniqueFd& each : fd_) each.reset();
  if (is_bad_hello(session_.reason())) {
    loop_.shared.admission.report(peer_.ip, Conduct::bad_hello);
  }
  if (source_counted_) loop_.shared.sources.release(peer_.ip);
  loop_.shared.connections.fetch_sub(1, std::memory_order_relaxed);
  setup_.reset();
  snapshot_.reset();
}

void Connection::log_end() const {
  const EndReason reason = session_.reason();
  Counters& counters = loop_.counters;
  counters.ended[static_cast<std::size_t>(reason)].add();
  const std::uint64_t to_backend = pipe_[index(Side::client)].bytes_sent();
  // An answer of our own is not the backend's.
  const std::uint64_t to_client = !relayed_      ? 0
                                  : plane_.taken ? PlaneSockhash::sent_to_client(fd(Side::client))
                                                 : pipe_[index(Side::backend)].bytes_sent();
  counters.bytes_to_backend.add(to_backend);
  counters.bytes_to_client.add(to_client);
  if (!access_lines_wanted()) return;
  if (!relayed_ && !loop_.refusals_log.admit(loop_.now_ms)) return;
  const std::string address = backend_ == nullptr          ? std::string()
                              : backend_address_.port != 0 ? backend_address_.to_string()
                                                           : backend_->text;
  log_access(access_line({.client = peer_,
                          .listener = config().listeners[listener_].name,
                          .server_name = name_,
                          .alpn = alpn_,
                          .tls_version = tls_version_,
                          .ech = ech_,
                          .route = route_ == nullptr ? std::string_view() : route_->names.front(),
                          .backend = address,
                          .client_bytes = to_backend,
                          .server_bytes = to_client,
                          .duration_ms = loop_.now_ms - started_ms_,
                          .plane = !relayed_      ? ""
                                   : plane_.taken ? "sockhash"
                                                  : "userspace",
                          .end = to_string(reason)},
                         log_format()));
}

// The hello is complete, or will never be.
void Connection::leave_hello() {
  if (!std::exchange(hello_pending_, false)) return;
  loop_.shared.pending_hellos.fetch_sub(1, std::memory_order_relaxed);
}

void Connection::enter_relay() {
  relayed_ = true;
  active_ms_ = loop_.now_ms;
  set_deadline(config().timeouts.idle);
}

// After the bytes that a completion brought are accounted for.
void Connection::advance_plane() {
  if (loop_.plane != nullptr) loop_.plane->advance(plane_, plane_view());
}

PlaneView Connection::plane_view() const {
  return {.client = fd(Side::client),
          .backend = fd(Side::backend),
          .sent_to_client = pipe(Side::backend).bytes_sent(),
          .age_ms = loop_.now_ms - started_ms_};
}

void Connection::set_deadline(std::chrono::milliseconds delay) {
  loop_.deadlines.set(slot_, loop_.now_ms + static_cast<std::uint64_t>(delay.count()));
}

OpTag Connection::tag(Op op, Side side) const {
  return {.op = op, .side = side, .generation = generation_, .slot = slot_};
}

}  // namespace sni
