#include "net/connect/setup.h"

#include <algorithm>
#include <chrono>

#include "core/hello/answer.h"
#include "core/hello/http_host.h"
#include "core/hello/redirect.h"
#include "core/mix.h"
#include "core/proxy_protocol/proxy_reader.h"
#include "core/proxy_protocol/proxy_wire.h"
#include "core/session/access_line.h"
#include "net/flow/doorman.h"
#include "net/loop/transfer_event.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

namespace {

EndReason reason_of(FlightError error) {
  switch (error) {
    case FlightError::not_the_protocol:
    case FlightError::other_version:
      return EndReason::not_the_protocol;
    case FlightError::oversized:
      return EndReason::oversized;
    case FlightError::malformed:
    case FlightError::record_overflow:
    case FlightError::unexpected_message:
    case FlightError::repeated_extension:
    case FlightError::bad_name:
      return EndReason::malformed;
  }
  return EndReason::malformed;
}

std::string text_of(Answer answer) {
  const auto bytes = answer_bytes(answer);
  return {bytes.begin(), bytes.end()};
}

// Computes nothing for a route that does not balance.
BalanceClient balance_client(const FlowRecord& record) {
  if (record.route->balancer == nullptr) return {};
  const bool by_source = record.route->balancer->policy() == Balance::source_hash;
  return {.random = mix(record.serial), .source = by_source ? source_key(record.client.ip) : 0};
}

// The clock is read only for routes with `access`.
bool admits(const Route& route, const IpAddress& source) {
  return route.access == nullptr ||
         route.access->admits(
             source, std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

// Continues the text after the name in the access line.
std::string_view name_error(NameProblem problem) {
  switch (problem) {
    case NameProblem::none:
      return {};
    case NameProblem::empty:
      return "the name is empty";
    case NameProblem::address:
      return "the name is an address";
    case NameProblem::number:
      return "the name ends in a number";
    case NameProblem::port:
      return "the name has a port";
    case NameProblem::not_ascii:
      return "the name is not ASCII";
    case NameProblem::too_long:
      return "the name is too long";
    case NameProblem::syntax:
      return "the name is not a host name";
  }
  return {};
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
      scanner_({.protocol = flow.record.listener->protocol,
                .hello_bytes = settings.limits.hello_bytes,
                .strip_port = flow.record.listener->strip_port}),
      flight_(loop.shared.flights),
      expects_proxy_header_(flow.record.is_of_proxy()),
      attempts_(loop, sockets, flow, settings) {}

// ---- Hello ------------------------------------------------------------------------------------

void Setup::start_receive() {
  // A new client's hello has usually arrived already.
  loop_.ring.receive(sockets_.fd(Side::client), BufferPool::group, limits::flight_receive_bytes,
                     /*poll_first=*/false, sockets_.tag(Op::receive, Side::client));
}

Event Setup::on_received(const Completion& completion) {
  auto event = event_of_receive(Side::client, completion.result);
  if (!event) return on_flight(completion);
  if (event->kind == Kind::receive_again) loop_.counters.receives_deferred.add();
  if (event->kind == Kind::eof || event->kind == Kind::reset) {
    event->reason = flight_.empty() ? EndReason::nothing_sent : EndReason::client_left;
  }
  return *event;
}

Event Setup::on_flight(const Completion& completion) {
  const auto buffer = static_cast<BufferId>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  const std::uint8_t* bytes = loop_.buffers->take(buffer);
  const bool fits = flight_.append({bytes, static_cast<std::size_t>(completion.result)},
                                   settings_.limits.hello_memory);
  loop_.buffers->give(buffer);
  if (!fits) return {.kind = Kind::flight_invalid, .reason = EndReason::hello_memory};
  if (flight_.bytes().size() < needed_) return {.kind = Kind::flight_incomplete};
  if (expects_proxy_header_) {
    if (const auto event = take_proxy_header()) return *event;
  }
  bodiless_ =
      flow_.record.listener->protocol == Protocol::http && asks_for_head_alone(flight_.bytes());
  const auto needed = scanner_.scan(flight_.bytes());
  if (!needed) return refuse(needed.error());
  needed_ = *needed;
  if (needed_ != 0) return {.kind = Kind::flight_incomplete};
  flight_.shrink();
  const auto parsed = scanner_.parse(flight_.bytes(), loop_.hello_scratch);
  if (parsed) return route(*parsed);
  const auto& [error, name] = parsed.error();
  if (error == FlightError::bad_name || !name.empty()) {
    flow_.record.server_name = name.substr(0, logged_name_max);
    flow_.record.hello_error = name_error(name_problem(name));
  }
  return refuse(error);
}

// nullopt: bytes of the client have arrived too.
std::optional<Event> Setup::take_proxy_header() {
  const auto reading = read_proxy_header(flight_.bytes());
  if (!reading) return refuse_proxy_header(to_string(reading.error()));
  needed_ = reading->needed;
  if (needed_ != 0) return Event{.kind = Kind::flight_incomplete};
  needed_ = 1;
  expects_proxy_header_ = false;
  flight_.drop_front(reading->header.size);
  if (const auto& ends = reading->header.ends) {
    flow_.record.client = ends->source;
    destination_ = ends->destination;
    const auto refusal = Doorman(loop_.shared).readmit(flow_.seat, ends->source.ip, settings_);
    if (refusal) {
      loop_.counters.refused[static_cast<std::size_t>(*refusal)].add();
      flow_.record.hello_error = to_string(*refusal);
      return Event{.kind = Kind::flight_invalid, .reason = EndReason::shut_out};
    }
  }
  if (flight_.empty()) return Event{.kind = Kind::flight_incomplete};
  return std::nullopt;
}

Event Setup::refuse_proxy_header(std::string_view why) {
  flow_.record.hello_error = why;
  return {.kind = Kind::flight_invalid, .reason = EndReason::proxy_header};
}

Event Setup::refuse(FlightError error) {
  EndReason reason = reason_of(error);
  if (flow_.record.hello_error.empty()) flow_.record.hello_error = to_string(error);
  // Long enough not to be a coincidence.
  if (flight_.bytes().size() >= proxy_wire::v1_prefix.size() &&
      begins_proxy_header(flight_.bytes())) {
    flow_.record.hello_error = "a PROXY header came from a source that must not send one";
    reason = EndReason::proxy_header;
  }
  const Protocol protocol = flow_.record.listener->protocol;
  const auto answer = protocol == Protocol::http || settings_.answers.alerts
                          ? answer_to_fault(protocol, error)
                          : std::nullopt;
  if (answer) answer_ = text_of(*answer);
  return {.kind = answer ? Kind::flight_refused : Kind::flight_invalid, .reason = reason};
}

Event Setup::route(const FirstFlight& flight) {
  flow_.seat.leave_hello();
  FlowRecord& record = flow_.record;
  loop_.counters.hello_times.add(loop_.now_ms - record.started_ms);
  const bool is_tls = record.listener->protocol == Protocol::tls;
  record.server_name = flight.name();
  if (flight.name_length == 0 && !flight.raw_name.empty()) {
    record.server_name = flight.raw_name;
    record.hello_error = name_error(name_problem(flight.raw_name));
  }
  record.alpn = first_protocol(flight.alpn_list);
  record.tls_version = flight.version;
  record.ech = flight.ech;
  record.route = snapshot_->routes.find(listener_, flight.name(), flight.alpn_list);
  snapshot_.reset();
  // An address is not a name, but the extension is present.
  const bool named = flight.name_length != 0 || (is_tls && !flight.raw_name.empty());
  answer_ = text_of(answer_without_route(record.listener->protocol, named,
                                         settings_.answers.alerts ? flight.version : 0));
  if (record.route == nullptr) return {.kind = Kind::flight_refused, .reason = EndReason::no_route};
  if (const auto event = turn_away(flight)) return *event;
  // The record's name stays valid; the flight's is a view into memory that is gone after this call.
  targets_.start(*record.route, flight.name_length != 0 ? record.server_name : std::string_view(),
                 balance_client(record));
  const bool repeatable = is_tls || may_be_repeated(flight_.bytes());
  retries_left_ = repeatable ? record.route->config.retries : 0;
  until_ms_ = loop_.now_ms + static_cast<std::uint64_t>(settings_.timeouts.setup.count());
  return {.kind = Kind::flight_routed};
}

// Handles a route that does not serve this client.
std::optional<Event> Setup::turn_away(const FirstFlight& flight) {
  const Route& whole = *flow_.record.route;
  const RouteConfig& route = whole.config;
  if (!flow_.record.is_of_proxy() && !admits(whole, flow_.record.client.ip)) {
    flow_.record.hello_error = "access of the route refuses the source";
    return refuse_by(route.refuse == Refuse::no ? Refuse::alert : route.refuse);
  }
  if (whole.access == nullptr && route.refuse != Refuse::no) return refuse_by(route.refuse);
  if (route.redirect == Redirect::https &&
      !(route.redirect_except_acme && is_acme_challenge(flight))) {
    if (!can_redirect(flight)) {
      answer_ = text_of(Answer::http_not_allowed);
      flow_.record.hello_error = "the target cannot be redirected";
      return Event{.kind = Kind::flight_refused, .reason = EndReason::refused};
    }
    std::string redirect = redirect_to_https(flight);
    if (redirect.empty()) return refuse(FlightError::malformed);
    answer_ = std::move(redirect);
    return Event{.kind = Kind::flight_refused, .reason = EndReason::redirected};
  }
  const std::uint32_t most = whole.load->connections_max();
  if (most == 0) return std::nullopt;
  auto place = RoutePlace::take(whole.load->count(), most);
  if (!place) return Event{.kind = Kind::flight_refused, .reason = EndReason::route_full};
  flow_.route_place = std::move(*place);
  return std::nullopt;
}

Event Setup::refuse_by(Refuse manner) {
  if (manner == Refuse::alert) {
    return {.kind = Kind::flight_refused, .reason = EndReason::refused};
  }
  if (manner == Refuse::drop) vanish_on_close(sockets_.fd(Side::client));
  return {.kind = Kind::flight_invalid, .reason = EndReason::refused};
}

bool Setup::answers_late_flight() const {
  return flow_.record.listener->protocol == Protocol::http && !expects_proxy_header_ &&
         !flight_.empty();
}

std::string Setup::answer(EndReason reason) const {
  std::string text = whole_answer(reason);
  if (bodiless_) text.resize(head_of_answer(text).size());
  return text;
}

// To the client a forbidden target looks like a missing route.
std::string Setup::whole_answer(EndReason reason) const {
  switch (reason) {
    case EndReason::not_the_protocol:
    case EndReason::malformed:
    case EndReason::oversized:
    case EndReason::proxy_header:
    case EndReason::no_route:
    case EndReason::refused:
    case EndReason::redirected:
    case EndReason::forbidden:
      return answer_;
    default:
      break;
  }
  if (flow_.record.listener->protocol == Protocol::tls) return text_of(Answer::tls_internal_error);
  switch (reason) {
    case EndReason::hello_timeout:
      return text_of(Answer::http_request_timeout);
    case EndReason::connect_timeout:
      return text_of(Answer::http_gateway_timeout);
    case EndReason::route_full:
    case EndReason::queue_full:
    case EndReason::queue_timeout:
      return text_of(Answer::http_unavailable);
    default:
      return text_of(Answer::http_bad_gateway);
  }
}

// ---- Resolve ----------------------------------------------------------------------------------

Event Setup::choose_target() {
  if (loop_.now_ms >= until_ms_) {
    targets_.late();
    record_target();
    return {.kind = Kind::target_exhausted, .reason = targets_.why()};
  }
  const TargetList::Next next = targets_.next(loop_.policy, target_context());
  record_target();
  switch (next) {
    case TargetList::Next::endpoint:
    case TargetList::Next::unix_path:
      break;
    case TargetList::Next::name:
      return {.kind = Kind::target_named};
    case TargetList::Next::full:
      return {.kind = Kind::target_full};
    case TargetList::Next::exhausted:
      return {.kind = Kind::target_exhausted, .reason = targets_.why()};
  }
  return {.kind = Kind::target_ready};
}

// The access line names the last target tried, with the reason of that target.
void Setup::record_target() {
  flow_.record.backend = &targets_.backend_of(targets_.latest());
  flow_.record.backend_address = targets_.latest().endpoint;
  flow_.record.error = targets_.error();
}

std::optional<Event> Setup::start_resolve() {
  asked_ms_ = 0;
  const auto answer = loop_.resolver->resolve(
      targets_.name(),
      targets_.name_is_configured() ? Resolver::Source::configuration : Resolver::Source::client,
      pack(sockets_.tag(Op::resolver, Side::backend)), loop_.now_ms);
  if (!answer) {
    asked_ms_ = loop_.now_ms;
    question_until_ms_ = attempt_until_ms();
    return std::nullopt;
  }
  return on_resolved(*answer);
}

// Answers from the cache are not counted.
void Setup::count_resolve_time() {
  if (asked_ms_ == 0) return;
  const std::uint64_t took = loop_.now_ms - std::exchange(asked_ms_, 0);
  flow_.record.resolve_ms += static_cast<std::uint32_t>(took);
  loop_.counters.resolve_times.add(took);
}

Event Setup::on_resolved(const Resolution& resolution) {
  count_resolve_time();
  targets_.resolved(resolution);
  const bool found = resolution.status == Resolution::Status::ok;
  return {.kind = found ? Kind::resolved : Kind::unresolved};
}

void Setup::on_resolve_timeout() {
  count_resolve_time();
  loop_.resolver->cancel(pack(sockets_.tag(Op::resolver, Side::backend)));
  targets_.not_resolved();
  record_target();
}

std::uint64_t Setup::attempt_until_ms() const {
  const auto connect = static_cast<std::uint64_t>(
      connect_timeout(settings_.timeouts, flow_.record.route->config).count());
  return std::min(loop_.now_ms + connect, until_ms_);
}

}  // namespace sni
