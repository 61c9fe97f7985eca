#pragma once

// Which address of which backend to try next, and what came of those that were tried. A route's
// backends are tried in their order, each with all its addresses; a name is resolved only when its
// turn has come. What has been silent lately is put off until all others have failed, and then
// tried in the same order.
//
// What an attempt failed of stays with the backend that it was made for, so that the access line
// never pairs one backend with another one's reason. Each is a line at debug. That another backend
// has to stand in for a route's first choice is a warning, at most one in limits::failover_told_ms
// for each backend.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/dns/resolution.h"
#include "core/route/attempt.h"
#include "core/route/endpoint_board.h"
#include "core/route/forward_policy.h"
#include "core/route/route_table.h"
#include "core/session/log_gate.h"
#include "core/session/session.h"

namespace sni {

// What all lists of a worker share.
struct TargetContext {
  EndpointBoard& board;
  LogGate& log;
  std::uint64_t now_ms;
};

class TargetList {
 public:
  enum class Next : std::uint8_t {
    endpoint,   // endpoint() is to be tried.
    unix_path,  // path() is to be tried.
    name,       // name() is to be resolved, then given to resolved().
    exhausted,  // why() says what the last try failed of.
  };

  // Both must outlive the list. `requested_name` is what the client asked for; may be empty.
  void start(const Route& route, std::string_view requested_name);
  // The policy is looked at for each address: this host's own may change meanwhile.
  Next next(const ForwardPolicy& policy, TargetContext context);
  void resolved(const Resolution& resolution);
  // No answer to name() has come in time.
  void not_resolved();

  // What became of the connect() to the target that next() gave: 0, or an errno (positive), where
  // ECANCELED and EINTR mean that the time given to it, `waited_ms`, is over; 0: it was too short to
  // say that nobody answers.
  void connected(int sys_errno, std::uint64_t waited_ms, TargetContext context);

  const Endpoint& endpoint() const { return endpoint_; }
  std::string_view path() const { return backend().host; }
  std::string_view name() const;
  bool name_is_configured() const { return backend().kind == Backend::Kind::name; }
  // The backend that next() spoke of last; after exhausted, of the last attempt.
  const Backend& backend() const { return route_->backends[backend_]->backend; }
  const BackendRef& backend_ref() const { return route_->backends[backend_]; }
  // Something has been tried, so that backend() and endpoint() say what; endpoint() has port 0
  // where it did not come to an address.
  bool tried() const { return tried_; }
  // Why the last attempt failed; none: it did not, or has not ended.
  AttemptError error() const { return error_; }
  EndReason why() const;

 private:
  struct PutOff {
    Endpoint endpoint;
    std::uint32_t backend = 0;
  };
  // The first choice, where it has failed.
  struct FirstFailure {
    Endpoint endpoint;
    AttemptError error = AttemptError::none;
  };

  // The next target of the current backend; exhausted: it has no more.
  Next next_of_backend(const ForwardPolicy& policy, TargetContext context);
  Next next_put_off();
  // Whether endpoint_ is to be tried now; it may be put off.
  bool due(const ForwardPolicy& policy, TargetContext context);
  bool permitted(const ForwardPolicy& policy);
  void begin_backend();
  void failed(AttemptError error);
  void remember_silence(std::uint64_t waited_ms, TargetContext context);
  void tell_of_failover(TargetContext context) const;
  EndpointBoard::Id board_id(const EndpointBoard& board) const;
  std::string target_text() const;

  const Route* route_ = nullptr;
  std::string_view requested_name_;
  Resolution resolution_;
  Endpoint endpoint_;
  std::uint32_t backend_ = 0;
  std::uint32_t turn_ = 0;     // Which of the addresses comes first.
  std::uint16_t address_ = 0;  // The next one of resolution_.
  bool listed_ = false;        // All backends have had their turn; what was put off is left.
  bool asked_ = false;         // The current backend has been handed out, or resolved.
  bool tried_ = false;
  AttemptError error_ = AttemptError::none;
  std::optional<FirstFailure> first_failure_;
  std::vector<PutOff> put_off_;  // Permitted, and to be tried when all others have failed.
  std::size_t again_ = 0;        // How many of these have been.
};

}  // namespace sni
