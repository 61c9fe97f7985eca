#pragma once

// Which address of which backend to try next. A route's backends are tried in their order, each
// with all its addresses; a name is resolved only when its turn has come. What has been silent
// lately is put off until all others have failed, and then tried in the same order.

#include <array>
#include <cstdint>
#include <string_view>

#include "core/config.h"
#include "core/limits.h"
#include "core/resolution.h"
#include "core/session.h"
#include "core/silent_endpoints.h"
#include "net/snapshot.h"

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
  Next next(const Snapshot& snapshot, SilentEndpoints& silent, std::uint64_t now_ms);
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
  // The next target of the current backend; exhausted: it has no more.
  Next next_of_backend(const Snapshot& snapshot, SilentEndpoints& silent, std::uint64_t now_ms);
  // Whether endpoint_, the current backend's address with this number, is to be tried now.
  bool due(std::uint8_t address, const Snapshot& snapshot, SilentEndpoints& silent,
           std::uint64_t now_ms);
  bool permitted(const Snapshot& snapshot, const Endpoint& endpoint);

  const RouteConfig* route_ = nullptr;
  std::string_view requested_name_;
  Resolution resolution_;
  Endpoint endpoint_;
  std::uint32_t backend_ = 0;
  std::uint8_t address_ = 0;  // The next one of resolution_.
  bool asked_ = false;        // The current backend has been handed out, or resolved.
  bool again_ = false;        // The turn of what was put off has come.
  // By backend and number of the address. Should the name have got others meanwhile, the same
  // numbers of those are tried.
  std::array<std::uint8_t, limits::route_backends_max> put_off_{};
  EndReason why_ = EndReason::unreachable;
};

}  // namespace sni
