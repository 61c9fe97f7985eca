#include "net/connect/target.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "core/session/access_line.h"
#include "net/socket.h"

namespace sni {
namespace {

AttemptError attempt_error(int sys_errno) {
  switch (sys_errno) {
    // -EINTR: our cancel interrupted a connect that was waiting in a kernel thread.
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
    case EINVAL:  // tcp_v6_connect()
      return AttemptError::no_interface;
    case EADDRNOTAVAIL:
      return AttemptError::no_local_port;
    case EMFILE:
    case ENFILE:
      return AttemptError::no_descriptor;
    default:
      return AttemptError::other;
  }
}

}  // namespace

void TargetList::start(const Route& route, std::string_view requested_name,
                       const BalanceClient& client) {
  route_ = &route;
  requested_name_ = requested_name;
  client_ = client;
  if (route.balancer) client_.turn = route.balancer->take_turn();
  left_ = first_backends(route.backends.size());
  listed_ = !choose_backend();
  first_ = target_.backend;
  if (!listed_) return;
  latest_ = target_;
  error_ = AttemptError::disabled;
}

// Backups come when nothing else is left. Backends disabled by command are skipped.
bool TargetList::choose_backend() {
  while (left_ != 0) {
    const std::uint64_t left = (left_ & primaries()) != 0 ? left_ & primaries() : left_;
    const auto chosen = route_->balancer ? route_->balancer->choose(left, client_)
                                         : static_cast<std::size_t>(std::countr_zero(left));
    left_ &= ~(std::uint64_t{1} << chosen);
    target_ = {.endpoint = {}, .backend = static_cast<std::uint32_t>(chosen)};
    if (!route_->backends[chosen]->disabled.load(std::memory_order_relaxed)) return true;
  }
  return false;
}

TargetList::Next TargetList::next(const ForwardPolicy& policy, TargetContext context) {
  for (;;) {
    const Next found = find(policy, context);
    if (found != Next::endpoint && found != Next::unix_path) return found;
    if (has_place()) {
      attempted_ = true;
      return found;
    }
    full_ |= std::uint64_t{1} << target_.backend;
    forget_addresses();  // Its addresses have no place either.
  }
}

TargetList::Next TargetList::find(const ForwardPolicy& policy, TargetContext context) {
  while (!listed_) {
    const Next found = next_of_backend(policy, context);
    if (found != Next::exhausted) return found;
    if (waits_for_place()) return Next::full;
    listed_ = !choose_backend();
    asked_ = false;
  }
  const Next found = next_put_off(context);
  return found == Next::exhausted && full_ != 0 ? Next::full : found;
}

TargetList::Next TargetList::next_put_off(TargetContext context) {
  if (again_ == put_off_.size()) return Next::exhausted;
  if (again_ == 0 && !attempted_ && put_off_.size() > 1) tell_all_out(context);
  target_ = latest_ = put_off_[again_++];
  error_ = AttemptError::none;
  return dialled(target_).backend.kind == Backend::Kind::unix_path ? Next::unix_path
                                                                   : Next::endpoint;
}

void TargetList::begin_backend() {
  target_.endpoint = {};
  latest_ = target_;
  error_ = AttemptError::none;
  forget_addresses();
  const Backend& backend = backend_of(target_);
  if (backend.kind == Backend::Kind::captured_name) {
    captured_name_ = route_->captured_host(backend, requested_name_);
  }
}

TargetList::Next TargetList::next_of_backend(const ForwardPolicy& policy, TargetContext context) {
  const bool first = !std::exchange(asked_, true);
  if (first) begin_backend();
  const BackendEntry& entry = dialled(target_);
  if (first && backend_of(target_).is_of_client() && requested_name_.empty()) {
    failed(target_, AttemptError::no_name);
    return Next::exhausted;
  }
  switch (entry.backend.kind) {
    case Backend::Kind::address:
      target_.endpoint = entry.backend.endpoint;
      if (first && due(policy, context)) return Next::endpoint;
      break;
    case Backend::Kind::unix_path:
      if (first && due(policy, context)) return Next::unix_path;
      break;
    case Backend::Kind::name:
    case Backend::Kind::requested_name:
    case Backend::Kind::captured_name:
    case Backend::Kind::service:
      if (first) {
        turn_ = entry.turn.fetch_add(1, std::memory_order_relaxed);
        return Next::name;
      }
      while (address_ < resolution_.count()) {
        target_.endpoint = {.ip = resolution_.in_turn(address_++, turn_),
                            .port = port_of(entry.backend)};
        if (due(policy, context)) return Next::endpoint;
      }
      if (next_service_ == service_order_.size()) break;
      ++next_service_;
      target_.endpoint = {};
      resolution_ = {};
      address_ = 0;
      return Next::name;
  }
  return Next::exhausted;
}

bool TargetList::due(const ForwardPolicy& policy, TargetContext context) {
  if (!permitted(policy)) return false;
  latest_ = target_;
  error_ = AttemptError::none;
  if (!is_put_off(context)) return true;
  put_off_.push_back(target_);
  return false;
}

bool TargetList::permitted(const ForwardPolicy& policy) {
  const Backend& backend = dialled(target_).backend;
  if (backend.kind == Backend::Kind::unix_path) return true;
  const ForwardVerdict verdict =
      backend.is_of_client()
          ? policy.judge_requested(target_.endpoint, route_->config.allow_private)
          : policy.judge_configured(target_.endpoint);
  if (verdict == ForwardVerdict::allowed) return true;
  failed(target_, AttemptError::forbidden);
  return false;
}

void TargetList::connected(const Target& target, int sys_errno, std::uint64_t waited_ms,
                           TargetContext context) {
  if (sys_errno == 0) {
    latest_ = target;
    error_ = AttemptError::none;
    tell_upstream_answered(target, context);
    tell_answered(target, context);
    return tell_of_failover(target, context);
  }
  // EADDRNOTAVAIL is also the answer where the host has no address of that family.
  const bool no_way = sys_errno == EADDRNOTAVAIL && !has_source_for(target.endpoint);
  failed(target, attempt_error(no_way ? ENETUNREACH : sys_errno));
  tell_dialled_out(target, waited_ms, context);
  if (error_ == AttemptError::no_local_port && context.log.admit(context.now_ms)) {
    spdlog::warn(
        "no local port is left for connections to {}: many short connections wait in TIME_WAIT "
        "(widen net.ipv4.ip_local_port_range, set net.ipv4.tcp_tw_reuse=1 or give the backend more "
        "addresses)",
        text_of(target));
  }
}

void TargetList::unanswered(const Target& target, std::uint64_t waited_ms, TargetContext context) {
  failed(target, AttemptError::no_answer);
  tell_upstream_answered(target, context);
  tell_out(target, waited_ms, context);
}

// Only a reset means that nothing serves there: a FIN may be the backend's answer to what it was
// sent.
void TargetList::turned_away(const Target& target, bool by_reset, TargetContext context) {
  failed(target, by_reset ? AttemptError::reset : AttemptError::ended);
  if (by_reset) tell_out(target, 0, context);
}

void TargetList::refused(const Target& target, AttemptError error, bool reached,
                         TargetContext context) {
  failed(target, error);
  if (!reached) return;
  tell_upstream_answered(target, context);
  tell_out(target, 0, context);
}

void TargetList::outrun(const Target& target, std::uint64_t waited_ms, bool reached,
                        TargetContext context) {
  const Target latest = latest_;
  const AttemptError error = error_;
  failed(target, AttemptError::no_answer);
  if (reached) {
    tell_out(target, waited_ms, context);
  } else {
    tell_dialled_out(target, waited_ms, context);
  }
  latest_ = latest;
  error_ = error;
}

void TargetList::failed(const Target& target, AttemptError error) {
  latest_ = target;
  error_ = error;
  if (spdlog::should_log(spdlog::level::debug)) {
    spdlog::debug("backend {} of route {}: {}", text_of(target), route_->config.names.front(),
                  to_string(error));
  }
  if (target.backend == first_ && !first_failure_) {
    first_failure_ = {.backend = first_, .error = error};
  }
}

void TargetList::late() {
  if (error_ == AttemptError::none) error_ = AttemptError::setup_timeout;
}

EndReason TargetList::why() const {
  switch (error_) {
    case AttemptError::name_unknown:
    case AttemptError::no_address:
    case AttemptError::resolver_silent:
    case AttemptError::resolver_failed:
    case AttemptError::resolver_overloaded:
      return EndReason::unresolved;
    case AttemptError::no_name:
      return EndReason::no_route;
    case AttemptError::forbidden:
      return EndReason::forbidden;
    case AttemptError::no_answer:
    case AttemptError::setup_timeout:
      return EndReason::connect_timeout;
    case AttemptError::full:
      return EndReason::queue_full;
    case AttemptError::queue_timeout:
      return EndReason::queue_timeout;
    case AttemptError::no_local_port:
      return EndReason::no_local_port;
    case AttemptError::no_descriptor:
      return EndReason::no_descriptor;
    default:
      return EndReason::unreachable;
  }
}

}  // namespace sni
