#include "net/connect/target.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/session/access_line.h"

namespace sni {
namespace {

AttemptError attempt_error(int sys_errno) {
  switch (sys_errno) {
    // -EINTR: our cancel has interrupted a connect that a thread of the kernel was waiting in.
    case ECANCELED:
    case EINTR:
    case ETIMEDOUT:
    case EAGAIN:  // The queue of a UNIX socket is full.
      return AttemptError::no_answer;
    case ECONNREFUSED:
      return AttemptError::refused;
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return AttemptError::host_unreachable;
    case ENETUNREACH:
    case EAFNOSUPPORT:
      return AttemptError::network_unreachable;
    case ECONNRESET:
      return AttemptError::reset;
    case ENOENT:
    case ENOTDIR:
      return AttemptError::no_file;
    case EACCES:
    case EPERM:
      return AttemptError::not_permitted;
    case EADDRNOTAVAIL:
      return AttemptError::no_local_port;
    case EMFILE:
    case ENFILE:
      return AttemptError::no_descriptor;
    default:
      return AttemptError::other;
  }
}

AttemptError resolution_error(Resolution::Status status) {
  switch (status) {
    case Resolution::Status::ok:
    case Resolution::Status::not_found:
      return AttemptError::name_unknown;
    case Resolution::Status::unanswered:
      return AttemptError::resolver_silent;
    case Resolution::Status::failed:
      break;
    case Resolution::Status::overloaded:
      return AttemptError::resolver_overloaded;
  }
  return AttemptError::resolver_failed;
}

}  // namespace

void TargetList::start(const Route& route, std::string_view requested_name) {
  route_ = &route;
  requested_name_ = requested_name;
}

TargetList::Next TargetList::next(const ForwardPolicy& policy, TargetContext context) {
  while (!listed_) {
    const Next found = next_of_backend(policy, context);
    if (found != Next::exhausted) return found;
    listed_ = backend_ + 1 == route_->backends.size();
    if (!listed_) ++backend_;
    asked_ = false;
  }
  return next_put_off();
}

TargetList::Next TargetList::next_put_off() {
  if (again_ == put_off_.size()) return Next::exhausted;
  endpoint_ = put_off_[again_].endpoint;
  backend_ = put_off_[again_++].backend;
  tried_ = true;
  error_ = AttemptError::none;
  return backend().kind == Backend::Kind::unix_path ? Next::unix_path : Next::endpoint;
}

void TargetList::begin_backend() {
  endpoint_ = {};
  resolution_ = {};
  address_ = 0;
  tried_ = true;
  error_ = AttemptError::none;
}

TargetList::Next TargetList::next_of_backend(const ForwardPolicy& policy, TargetContext context) {
  const bool first = !std::exchange(asked_, true);
  if (first) begin_backend();
  switch (backend().kind) {
    case Backend::Kind::address:
      endpoint_ = backend().endpoint;
      if (first && due(policy, context)) return Next::endpoint;
      break;
    case Backend::Kind::unix_path:
      if (first && due(policy, context)) return Next::unix_path;
      break;
    case Backend::Kind::name:
    case Backend::Kind::requested_name:
      if (first) {
        turn_ = backend_ref()->turn.fetch_add(1, std::memory_order_relaxed);
        if (!name().empty()) return Next::name;
        failed(AttemptError::no_name);
      }
      while (address_ < resolution_.count()) {
        endpoint_ = {.ip = resolution_.in_turn(address_++, turn_), .port = backend().port};
        if (due(policy, context)) return Next::endpoint;
      }
      break;
  }
  return Next::exhausted;
}

bool TargetList::due(const ForwardPolicy& policy, TargetContext context) {
  error_ = AttemptError::none;
  if (!permitted(policy)) return false;
  if (!context.board.puts_off(board_id(context.board), context.now_ms)) return true;
  put_off_.push_back({.endpoint = endpoint_, .backend = backend_});
  return false;
}

std::string_view TargetList::name() const {
  return backend().kind == Backend::Kind::requested_name ? requested_name_
                                                         : std::string_view(backend().host);
}

void TargetList::resolved(const Resolution& resolution) {
  resolution_ = resolution;
  address_ = 0;
  if (resolution.count() == 0) failed(resolution_error(resolution.status));
}

void TargetList::not_resolved() {
  failed(AttemptError::resolver_silent);
}

bool TargetList::permitted(const ForwardPolicy& policy) {
  if (backend().kind == Backend::Kind::unix_path) return true;
  const ForwardVerdict verdict =
      backend().kind == Backend::Kind::requested_name
          ? policy.judge_requested(endpoint_, route_->config.allow_private)
          : policy.judge_configured(endpoint_);
  if (verdict == ForwardVerdict::allowed) return true;
  failed(AttemptError::forbidden);
  return false;
}

void TargetList::connected(int sys_errno, std::uint64_t waited_ms, TargetContext context) {
  const EndpointBoard::Id id = board_id(context.board);
  if (sys_errno == 0) {
    context.board.answered(id, context.now_ms);
    return tell_of_failover(context);
  }
  failed(attempt_error(sys_errno));
  if (error_ == AttemptError::refused) context.board.answered(id, context.now_ms);
  // A neighbour that does not answer ARP is reported after seconds too.
  if ((error_ == AttemptError::no_answer && waited_ms > 0) ||
      error_ == AttemptError::host_unreachable) {
    remember_silence(waited_ms, context);
  }
  if (error_ == AttemptError::no_local_port && context.log.admit(context.now_ms)) {
    spdlog::warn(
        "no local port is left for connections to {}: many short connections wait in TIME_WAIT "
        "(widen net.ipv4.ip_local_port_range, set net.ipv4.tcp_tw_reuse=1 or give the backend more "
        "addresses)",
        target_text());
  }
}

void TargetList::remember_silence(std::uint64_t waited_ms, TargetContext context) {
  const bool configured = backend().kind != Backend::Kind::requested_name;
  const std::uint64_t begun_ms = context.now_ms - std::min(waited_ms, context.now_ms);
  const EndpointBoard::Id id = board_id(context.board);
  if (!context.board.add(id, configured, begun_ms, context.now_ms)) return;
  if (!context.log.admit(context.now_ms)) return;
  spdlog::warn("{} does not answer; it is tried last for {} s", target_text(),
               limits::silent_ms / 1000);
}

void TargetList::failed(AttemptError error) {
  error_ = error;
  if (spdlog::should_log(spdlog::level::debug)) {
    spdlog::debug("backend {} of route {}: {}", target_text(), route_->config.names.front(),
                  to_string(error));
  }
  if (backend_ == 0 && !first_failure_) {
    first_failure_ = {.endpoint = endpoint_, .error = error};
  }
}

// Another backend than the first has taken the connection.
void TargetList::tell_of_failover(TargetContext context) const {
  if (backend_ == 0 || !first_failure_) return;
  const BackendEntry& first = *route_->backends.front();
  const std::uint32_t since = first.failovers.fetch_add(1, std::memory_order_relaxed) + 1;
  std::uint64_t told_ms = first.failover_told_ms.load(std::memory_order_relaxed);
  if (told_ms != 0 && context.now_ms < told_ms + limits::failover_told_ms) return;
  if (!first.failover_told_ms.compare_exchange_strong(told_ms, context.now_ms,
                                                      std::memory_order_relaxed)) {
    return;
  }
  first.failovers.fetch_sub(since, std::memory_order_relaxed);
  spdlog::warn("backend {} failed ({}); {} serves route {} in its place{}", first.backend.text,
               to_string(first_failure_->error), backend().text, route_->config.names.front(),
               since == 1 ? "" : fmt::format(", {} connections since the last such line", since));
}

EndpointBoard::Id TargetList::board_id(const EndpointBoard& board) const {
  return backend().kind == Backend::Kind::unix_path ? board.id_of(path()) : board.id_of(endpoint_);
}

// As it may stand in a log.
std::string TargetList::target_text() const {
  if (backend().kind == Backend::Kind::address) return endpoint_.to_string();
  std::string text = escape_for_log(backend().text);
  if (backend().kind == Backend::Kind::requested_name) {
    text += " as " + escape_for_log(requested_name_);
  }
  if (endpoint_.port != 0) text += " (" + endpoint_.to_string() + ")";
  return text;
}

EndReason TargetList::why() const {
  switch (error_) {
    case AttemptError::name_unknown:
    case AttemptError::resolver_silent:
    case AttemptError::resolver_failed:
    case AttemptError::resolver_overloaded:
      return EndReason::unresolved;
    case AttemptError::no_name:
      return EndReason::no_route;
    case AttemptError::forbidden:
      return EndReason::forbidden;
    case AttemptError::no_answer:
      return EndReason::connect_timeout;
    default:
      return EndReason::unreachable;
  }
}

}  // namespace sni
