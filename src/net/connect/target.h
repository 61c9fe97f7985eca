#pragma once

// Which address of which backend to try next. A route's backends are tried in their order, each
// with all its addresses; a name is resolved only when its turn has come. What has been silent
// lately is put off until all others have failed, and then tried in the same order.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/dns/resolution.h"
#include "core/route/forward_policy.h"
#include "core/route/silent_endpoints.h"
#include "core/session/session.h"

namespace sni {

class TargetList {
 public:
  enum class Next : std::uint8_t {
    endpoint,   // endpoint() is to be tried.
    unix_path,  // path() is to be tried.
    name,       // name() is to be resolved, then given to resolved().
    exhausted,  // why() says what the tries failed of.
  };

  // Both must outlive the list. `requested_name` is what the client asked for; may be empty.
  void start(const RouteConfig& route, std::string_view requested_name);
  Next next(const ForwardPolicy& policy, SilentEndpoints& silent, std::uint64_t now_ms);
  void resolved(const Resolution& resolution);
  void failed(EndReason reason) { why_ = reason; }

  const Endpoint& endpoint() const { return endpoint_; }
  std::string_view path() const { return backend().host; }
  std::string_view name() const;
  bool name_is_configured() const { return backend().kind == Backend::Kind::name; }
  EndReason why() const { return why_; }
  // The backend that next() spoke of; not after exhausted.
  const Backend& backend() const { return route_->backends[backend_]; }

 private:
  struct PutOff {
    Endpoint endpoint;
    std::uint32_t backend = 0;
  };

  // The next target of the current backend; exhausted: it has no more.
  Next next_of_backend(const ForwardPolicy& policy, SilentEndpoints& silent, std::uint64_t now_ms);
  // Whether endpoint_ is to be tried now; it may be put off.
  bool due(const ForwardPolicy& policy, SilentEndpoints& silent, std::uint64_t now_ms);
  bool permitted(const ForwardPolicy& policy, const Endpoint& endpoint);

  const RouteConfig* route_ = nullptr;
  std::string_view requested_name_;
  Resolution resolution_;
  Endpoint endpoint_;
  std::uint32_t backend_ = 0;
  std::uint8_t address_ = 0;     // The next one of resolution_.
  bool asked_ = false;           // The current backend has been handed out, or resolved.
  std::vector<PutOff> put_off_;  // Permitted, and to be tried when all others have failed.
  std::size_t again_ = 0;        // How many of these have been.
  EndReason why_ = EndReason::unreachable;
};

}  // namespace sni
