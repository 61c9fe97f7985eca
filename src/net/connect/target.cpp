#include "net/connect/target.h"

#include <utility>

namespace sni {

void TargetList::start(const RouteConfig& route, std::string_view requested_name) {
  route_ = &route;
  requested_name_ = requested_name;
}

TargetList::Next TargetList::next(const ForwardPolicy& policy, SilentEndpoints& silent,
                                  std::uint64_t now_ms) {
  if (again_ == 0) {
    for (; backend_ < route_->backends.size(); ++backend_, asked_ = false) {
      const Next found = next_of_backend(policy, silent, now_ms);
      if (found != Next::exhausted) return found;
    }
  }
  if (again_ == put_off_.size()) return Next::exhausted;
  endpoint_ = put_off_[again_].endpoint;
  backend_ = put_off_[again_++].backend;
  return Next::endpoint;
}

TargetList::Next TargetList::next_of_backend(const ForwardPolicy& policy, SilentEndpoints& silent,
                                             std::uint64_t now_ms) {
  const bool first = !std::exchange(asked_, true);
  switch (backend().kind) {
    case Backend::Kind::address:
      endpoint_ = backend().endpoint;
      if (first && due(policy, silent, now_ms)) return Next::endpoint;
      break;
    case Backend::Kind::unix_path:
      if (first) return Next::unix_path;
      break;
    case Backend::Kind::name:
    case Backend::Kind::requested_name:
      if (first) {
        resolution_ = {};
        address_ = 0;
        if (!name().empty()) return Next::name;
        why_ = EndReason::no_route;  // A dynamic route, and a client that names nobody.
      }
      while (address_ < resolution_.count) {
        endpoint_ = {.ip = resolution_.addresses[address_++], .port = backend().port};
        if (due(policy, silent, now_ms)) return Next::endpoint;
      }
      break;
  }
  return Next::exhausted;
}

bool TargetList::due(const ForwardPolicy& policy, SilentEndpoints& silent, std::uint64_t now_ms) {
  if (!permitted(policy, endpoint_)) return false;
  if (!silent.puts_off(endpoint_, now_ms)) return true;
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
  if (resolution.count == 0) why_ = EndReason::unresolved;
}

bool TargetList::permitted(const ForwardPolicy& policy, const Endpoint& endpoint) {
  const ForwardVerdict verdict = backend().kind == Backend::Kind::requested_name
                                     ? policy.judge_requested(endpoint, route_->allow_private)
                                     : policy.judge_configured(endpoint);
  if (verdict == ForwardVerdict::allowed) return true;
  why_ = EndReason::forbidden;
  return false;
}

}  // namespace sni
