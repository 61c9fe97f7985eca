#include "net/connect/setup.h"

#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/session/access_line.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

namespace {

Event invalid(FlightError error) {
  const EndReason reason = error == FlightError::oversized          ? EndReason::oversized
                           : error == FlightError::not_the_protocol ? EndReason::not_the_protocol
                                                                    : EndReason::malformed;
  return {.kind = Kind::flight_invalid, .reason = reason};
}

}  // namespace

Setup::Setup(Loop& loop, Sockets& sockets, Flow& flow, const FlowSettings& settings,
             std::shared_ptr<const Snapshot> snapshot, std::uint32_t listener)
    : loop_(loop),
      sockets_(sockets),
      flow_(flow),
      settings_(settings),
      snapshot_(std::move(snapshot)),
      listener_(listener),
      scanner_(flow.record.listener->protocol) {}

// ---- Hello ------------------------------------------------------------------------------------

void Setup::start_receive() {
  // A new client's hello is mostly there already.
  loop_.ring.receive(sockets_.fd(Side::client), BufferPool::group, limits::flight_receive_bytes,
                     /*poll_first=*/false, sockets_.tag(Op::receive, Side::client));
}

Event Setup::on_received(const Completion& completion) {
  switch (completion.result) {
    case 0:
      return {.kind = Kind::eof};
    case -ECANCELED:
      return {.kind = Kind::cancelled, .operation = Operation::receive};
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS:
      loop_.counters.receives_deferred.add();
      return {.kind = Kind::receive_again};
    default:
      if (completion.result < 0) {
        return {.kind = Kind::reset, .lost = is_lost(-completion.result)};
      }
  }
  return on_flight(completion);
}

Event Setup::on_flight(const Completion& completion) {
  const auto buffer = static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  const std::uint8_t* bytes = loop_.buffers->take(buffer);
  flight_.insert(flight_.end(), bytes, bytes + completion.result);
  loop_.buffers->give(buffer);
  if (flight_.size() < needed_) return {.kind = Kind::flight_incomplete};
  const auto needed = scanner_.scan(flight_);
  if (!needed) return invalid(needed.error());
  needed_ = *needed;
  if (needed_ != 0) return {.kind = Kind::flight_incomplete};
  const auto parsed = scanner_.parse(flight_, loop_.hello_scratch);
  if (!parsed) return invalid(parsed.error());
  return route(*parsed);
}

Event Setup::route(const FirstFlight& flight) {
  flow_.seat.leave_hello();
  FlowRecord& record = flow_.record;
  record.server_name = flight.name();
  record.alpn = first_protocol(flight.alpn_list);
  record.tls_version = flight.version;
  record.ech = flight.ech;
  record.route = snapshot_->routes.find(listener_, record.server_name, flight.alpn_list);
  snapshot_.reset();
  if (record.route == nullptr) return {.kind = Kind::flight_refused, .reason = EndReason::no_route};
  targets_.start(*record.route, record.server_name);
  until_ms_ = loop_.now_ms + static_cast<std::uint64_t>(settings_.timeouts.setup.count());
  return {.kind = Kind::flight_routed};
}

// ---- Resolve ----------------------------------------------------------------------------------

Event Setup::choose_target() {
  if (loop_.now_ms >= until_ms_) return {.kind = Kind::target_exhausted, .reason = targets_.why()};
  FlowRecord& record = flow_.record;
  sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
  switch (targets_.next(loop_.policy, loop_.silent, loop_.now_ms)) {
    case TargetList::Next::endpoint:
      record.backend = &targets_.backend();
      record.backend_address = targets_.endpoint();
      to_sockaddr(record.backend_address, address_);
      break;
    case TargetList::Next::unix_path:
      record.backend = &targets_.backend();
      record.backend_address = {};
      targets_.path().copy(local.sun_path, sizeof local.sun_path - 1);
      std::memcpy(&address_, &local, sizeof local);
      break;
    case TargetList::Next::name:
      return {.kind = Kind::target_named};
    case TargetList::Next::exhausted:
      return {.kind = Kind::target_exhausted, .reason = targets_.why()};
  }
  return {.kind = Kind::target_ready};
}

std::optional<Event> Setup::start_resolve() {
  const auto answer = loop_.resolver->resolve(
      targets_.name(),
      targets_.name_is_configured() ? Resolver::Source::configuration : Resolver::Source::client,
      pack(sockets_.tag(Op::resolver, Side::backend)), loop_.now_ms);
  if (!answer) return std::nullopt;
  return on_resolved(*answer);
}

Event Setup::on_resolved(const Resolution& resolution) {
  targets_.resolved(resolution);
  return {.kind = resolution.count > 0 ? Kind::resolved : Kind::unresolved};
}

void Setup::on_resolve_timeout() {
  loop_.resolver->cancel(pack(sockets_.tag(Op::resolver, Side::backend)));
  targets_.failed(EndReason::unresolved);
}

std::uint64_t Setup::attempt_until_ms() const {
  const auto connect = static_cast<std::uint64_t>(settings_.timeouts.connect.count());
  return std::min(loop_.now_ms + connect, until_ms_);
}

// ---- Connect ----------------------------------------------------------------------------------

std::optional<Event> Setup::start_connect() {
  const int family = address_.ss_family;
  auto socket = open_backend_socket(family, settings_.timeouts.idle);
  if (!socket) {
    if (loop_.refusals_log.admit(loop_.now_ms)) spdlog::warn("{}", socket.error().what);
    targets_.failed(EndReason::unreachable);
    return Event{.kind = Kind::connect_failed, .side = Side::backend};
  }
  sockets_.fds[index(Side::backend)] = std::move(*socket);
  const int backend = sockets_.fd(Side::backend);
  if (family != AF_UNIX) loop_.planes.announce(pair_, sockets_.fd(Side::client), backend);
  const socklen_t length = family == AF_UNIX    ? sizeof(sockaddr_un)
                           : family == AF_INET6 ? sizeof(sockaddr_in6)
                                                : sizeof(sockaddr_in);
  loop_.ring.connect(backend, reinterpret_cast<sockaddr*>(&address_), length,
                     sockets_.tag(Op::connect, Side::backend));
  return std::nullopt;
}

Event Setup::on_connected(const Completion& completion) {
  const Endpoint& address = flow_.record.backend_address;
  if (completion.result == 0) {
    loop_.silent.answered(address, loop_.now_ms);
    return {.kind = Kind::connected, .side = Side::backend};
  }
  if (completion.result == -EADDRNOTAVAIL && loop_.refusals_log.admit(loop_.now_ms)) {
    spdlog::warn(
        "no local port is left for connections to {}: many short connections wait in TIME_WAIT "
        "(widen net.ipv4.ip_local_port_range, set net.ipv4.tcp_tw_reuse=1 or give the backend more "
        "addresses)",
        address.to_string());
  }
  loop_.planes.leave(pair_);
  sockets_.fds[index(Side::backend)].reset();
  // -EINTR: our cancel has interrupted a connect that a thread of the kernel was waiting in.
  const bool timed_out = completion.result == -ECANCELED || completion.result == -EINTR ||
                         completion.result == -ETIMEDOUT;
  targets_.failed(timed_out ? EndReason::connect_timeout : EndReason::unreachable);
  if (completion.result == -ECONNREFUSED) loop_.silent.answered(address, loop_.now_ms);
  // A neighbour that does not answer ARP is reported after seconds too.
  if (timed_out || completion.result == -EHOSTUNREACH) remember_silence();
  return {.kind = Kind::connect_failed, .side = Side::backend};
}

// Only what is configured by its address or name: clients could fill the list with names of theirs.
void Setup::remember_silence() {
  const Backend& backend = *flow_.record.backend;
  if (backend.kind != Backend::Kind::address && backend.kind != Backend::Kind::name) return;
  const Endpoint& address = flow_.record.backend_address;
  const auto waited = static_cast<std::uint64_t>(settings_.timeouts.connect.count());
  const std::uint64_t begun_ms = loop_.now_ms - std::min(waited, loop_.now_ms);
  if (!loop_.silent.add(address, begun_ms, loop_.now_ms)) return;
  if (!loop_.refusals_log.admit(loop_.now_ms)) return;
  spdlog::warn("{} does not answer; it is tried last for {} s", address.to_string(),
               limits::silent_ms / 1000);
}

}  // namespace sni
