#include "net/target.h"

namespace sni {

void TargetList::start(const RouteConfig& route, std::string_view requested_name) {
  route_ = &route;
  requested_name_ = requested_name;
}

TargetList::Next TargetList::next(const Snapshot& snapshot) {
  for (; backend_ < route_->backends.size(); ++backend_, asked_ = false) {
    const bool first = !asked_;
    asked_ = true;
    switch (backend().kind) {
      case Backend::Kind::address:
        endpoint_ = backend().endpoint;
        if (first && permitted(snapshot, endpoint_)) return Next::endpoint;
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
          if (permitted(snapshot, endpoint_)) return Next::endpoint;
        }
        break;
    }
  }
  return Next::exhausted;
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

bool TargetList::permitted(const Snapshot& snapshot, const Endpoint& endpoint) {
  const ForwardPolicy policy = snapshot.policy();
  const ForwardVerdict verdict = backend().kind == Backend::Kind::requested_name
                                     ? policy.judge_requested(endpoint, route_->allow_private)
                                     : policy.judge_configured(endpoint);
  if (verdict == ForwardVerdict::allowed) return true;
  why_ = EndReason::forbidden;
  return false;
}

}  // namespace sni
