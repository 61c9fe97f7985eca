#pragma once

// Which address of which backend to try next, and the results of those tried. The route's balancer
// chooses the next backend; without one they are tried in their order. Backups are tried when all
// others have failed. Each backend is tried with all its addresses, and a name is resolved only
// when its turn comes. A service is a backend with several names: its targets come in the order of
// RFC 2782, each with all its addresses. Endpoints that are out (core/route/endpoint_board.h) are
// put off until all others have failed and then tried in the same order. So if all are out, all are
// tried as if none were.
//
// Several targets may be under way at once, so each result is reported with its target. The reason
// of a failure stays with its backend, so that the access line never pairs one backend with the
// reason of another. Each failure is logged at debug. A warning says that another backend stands in
// for a connection's first choice, at most once in limits::failover_told_ms for each backend.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/dns/resolution.h"
#include "core/route/attempt.h"
#include "core/route/backend_lease.h"
#include "core/route/endpoint_board.h"
#include "core/route/forward_policy.h"
#include "core/route/place_wait.h"
#include "core/route/route_table.h"
#include "core/session/log_gate.h"
#include "core/session/session.h"
#include "core/socks5/socks_dialog.h"

namespace sni {

// Shared by all lists of a worker.
struct TargetContext {
  EndpointBoard& board;
  LogGate& log;      // For lines that clients can cause.
  LogGate& changes;  // For those of configured backends that go out and come back.
  std::uint64_t now_ms;
};

// A backend's place on the board, for what happens to it when the list is gone.
struct BoardPlace {
  EndpointBoard::Id id = 0;
  bool configured = false;  // Not named by a client.
};

// Records that it reset a connection before it had sent a byte. `text` names it in the log.
void tell_reset(const BoardPlace& place, std::string_view text, TargetContext context);

// The destination of a connect().
struct Target {
  Endpoint endpoint;          // Port 0: a UNIX socket, or no address was chosen.
  std::uint32_t backend = 0;  // Index into the route's.
  bool operator==(const Target&) const = default;
};

class TargetList {
 public:
  enum class Next : std::uint8_t {
    endpoint,   // target() is to be tried.
    unix_path,  // The same, with path() as its address.
    name,       // name() is to be resolved, then given to resolved().
    full,       // Only full() are left: wait for a place, then call placed() or not_placed().
    exhausted,  // why() has the reason of the last failure.
  };

  // The route and the name must outlive the list. `requested_name` is the client's server name and
  // may be empty.
  void start(const Route& route, std::string_view requested_name, const BalanceClient& client);
  // The policy is checked for each address, since this host's own may change meanwhile.
  Next next(const ForwardPolicy& policy, TargetContext context);
  void resolved(const Resolution& resolution);
  // No answer to name() has come in time.
  void not_resolved();

  // The route's backends that had no place.
  std::vector<BackendRef> full() const;
  // One of them has a place now; or none had one in time, or all queues were full.
  void placed(PlaceWait::Place place);
  void not_placed(AttemptError why);

  // Reports the result of the connect() to a target from next(): 0, or an errno (positive).
  // ECANCELED and EINTR mean that its time, `waited_ms`, is over; a `waited_ms` of 0 was too short
  // to call the endpoint unresponsive.
  void connected(const Target& target, int sys_errno, std::uint64_t waited_ms,
                 TargetContext context);
  // The route's upstream has answered, but said nothing about the target within `waited_ms`.
  void unanswered(const Target& target, std::uint64_t waited_ms, TargetContext context);
  // The target was connected and ended, by a reset or a FIN, before it sent a byte.
  void turned_away(const Target& target, bool by_reset, TargetContext context);
  // The target failed before its connect(), or, with `reached`, the route's upstream reported this.
  void refused(const Target& target, AttemptError error, bool reached, TargetContext context);
  // What the upstream is to connect to.
  SocksTarget socks_target(const Target& target) const;
  // The target was given up after `waited_ms` because another one was faster. For the board it is
  // as unresponsive as one that had its whole time. `reached`: its upstream had answered.
  void outrun(const Target& target, std::uint64_t waited_ms, bool reached, TargetContext context);

  // Of the target itself, which may be behind an upstream.
  BoardPlace place_on(const EndpointBoard& board, const Target& target) const;

  // Whether next() may find another one.
  bool has_more() const {
    return (left_ | full_) != 0 || address_ < resolution_.count() ||
           next_service_ < service_order_.size() || again_ < put_off_.size();
  }
  // The latest from next().
  const Target& target() const { return target_; }
  std::string_view path() const { return dialled(target_).backend.host; }
  std::string_view name() const;
  bool name_is_configured() const { return !dialled(target_).backend.is_of_client(); }
  const Backend& backend_of(const Target& target) const {
    return route_->backends[target.backend]->backend;
  }
  // Counts a connection to the target until its end. The route outlives it.
  BackendLease lease(const Target& target) const;
  // The target has won: its place goes to the connection, and the other places are given back.
  BackendLease take_place(const Target& target);
  // None has won: all places are given back.
  void leave_places() { places_.clear(); }

  // The latest target of next() or of a result, and why it failed; none: it did not fail, or is
  // still under way.
  const Target& latest() const { return latest_; }
  AttemptError error() const { return error_; }
  EndReason why() const;
  // No target is tried any more, since timeouts.setup is over.
  void late();

 private:
  // The first choice, if it failed.
  struct FirstFailure {
    std::uint32_t backend = 0;
    AttemptError error = AttemptError::none;
  };

  // A place at a backend with a limit of connections.
  struct Place {
    std::uint32_t backend = 0;  // Index into the route's.
    BackendLease lease;
  };

  bool choose_backend();
  Next find(const ForwardPolicy& policy, TargetContext context);
  bool has_place();
  // Waiting for a place precedes the backups.
  bool waits_for_place() const { return full_ != 0 && (left_ & primaries()) == 0; }
  std::uint64_t primaries() const;
  // Where to connect to reach the target: its backend, or the route's upstream.
  const BackendEntry& dialled(const Target& target) const {
    return route_->upstream != nullptr ? *route_->upstream->backend
                                       : *route_->backends[target.backend];
  }
  // The next target of the current backend; exhausted: it has no more.
  Next next_of_backend(const ForwardPolicy& policy, TargetContext context);
  Next next_put_off(TargetContext context);
  // Whether target_ is to be tried now; it may be put off.
  bool due(const ForwardPolicy& policy, TargetContext context);
  bool permitted(const ForwardPolicy& policy);
  void begin_backend();
  std::string_view host_of(const Backend& backend) const;
  std::uint16_t port_of(const Backend& backend) const;
  void order_services();
  const ServiceTarget& service() const { return (*services_)[service_order_[next_service_ - 1]]; }
  void forget_addresses();
  void choose_address();
  void failed(const Target& target, AttemptError error);
  void tell_out(const Target& target, std::uint64_t waited_ms, TargetContext context) const;
  void tell_dialled_out(const Target& target, std::uint64_t waited_ms, TargetContext context) const;
  void tell_answered(const Target& target, TargetContext context) const;
  void tell_upstream_answered(const Target& target, TargetContext context) const;
  void tell_of_failover(const Target& target, TargetContext context) const;
  void tell_all_out(TargetContext context) const;
  bool is_put_off(TargetContext context) const;
  BoardPlace dialled_place(const EndpointBoard& board, const Target& target) const;
  std::string text_of(const Target& target) const;

  const Route* route_ = nullptr;
  std::string_view requested_name_;
  std::string captured_name_;  // The name that the current backend makes of it.
  BalanceClient client_;
  std::uint64_t left_ = 0;  // A bit for each backend not tried yet,
  std::uint64_t full_ = 0;  // and for each that had no place.
  std::vector<Place> places_;
  Target target_;
  Target latest_;
  AttemptError error_ = AttemptError::none;  // Of latest_.
  Resolution resolution_;
  // Of a service: its targets, their order for this connection, and the next one. The target before
  // the next is the current name.
  std::shared_ptr<const std::vector<ServiceTarget>> services_;
  std::vector<std::uint8_t> service_order_;
  std::size_t next_service_ = 0;
  std::uint32_t first_ = 0;    // The backend that was chosen first.
  std::uint32_t turn_ = 0;     // Which of the addresses comes first.
  std::uint16_t address_ = 0;  // The next one of resolution_.
  bool listed_ = false;        // All backends were tried; only put_off_ is left.
  bool asked_ = false;         // The current backend was returned, or resolved.
  bool attempted_ = false;     // Some target was returned.
  std::optional<FirstFailure> first_failure_;
  std::vector<Target> put_off_;  // Permitted, and to be tried when all others have failed.
  std::size_t again_ = 0;        // How many of these were tried.
};

}  // namespace sni
