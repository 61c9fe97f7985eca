#pragma once

// Which address of which backend to try next, and what came of those that were tried. A route's
// balancer says which of its backends comes next, or their order does where it has none; backups
// come when all others have failed. Each is tried with all its addresses; a name is resolved only
// when its turn has come. A service is a backend with several names: its targets come in the order
// of RFC 2782, each with all its addresses. What is out (core/route/endpoint_board.h) is put off
// until all others have failed, and then tried in the same order: where all are out, all are tried
// as if none were.
//
// Several targets may be on their way at once, so each comes back with what became of it. What an
// attempt failed of stays with the backend that it was made for, so that the access line never pairs
// one backend with another one's reason. Each is a line at debug. That another backend has to stand
// in for the one that a connection chose first is a warning, at most one in limits::failover_told_ms
// for each backend.

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

// What all lists of a worker share.
struct TargetContext {
  EndpointBoard& board;
  LogGate& log;
  std::uint64_t now_ms;
};

// Where a connect() goes.
struct Target {
  Endpoint endpoint;          // Port 0: a UNIX socket, or it did not come to an address.
  std::uint32_t backend = 0;  // Index into the route's.
  bool operator==(const Target&) const = default;
};

class TargetList {
 public:
  enum class Next : std::uint8_t {
    endpoint,   // target() is to be tried.
    unix_path,  // The same, and its address is path().
    name,       // name() is to be resolved, then given to resolved().
    full,       // full() are all that is left: wait for a place, then placed() or not_placed().
    exhausted,  // why() says what the last try failed of.
  };

  // The route and the name must outlive the list. `requested_name` is what the client asked for; may
  // be empty.
  void start(const Route& route, std::string_view requested_name, const BalanceClient& client);
  // The policy is looked at for each address: this host's own may change meanwhile.
  Next next(const ForwardPolicy& policy, TargetContext context);
  void resolved(const Resolution& resolution);
  // No answer to name() has come in time.
  void not_resolved();

  // Of the route's: those that had no place.
  std::vector<BackendRef> full() const;
  // One of them has one now, or none had in time or took another one into its queue.
  void placed(PlaceWait::Place place);
  void not_placed(AttemptError why);

  // What became of the connect() to a target that next() gave: 0, or an errno (positive), where
  // ECANCELED and EINTR mean that the time given to it, `waited_ms`, is over; 0: it was too short to
  // say that nobody answers.
  void connected(const Target& target, int sys_errno, std::uint64_t waited_ms,
                 TargetContext context);
  // It was connected and has ended before it has sent a byte, by a reset or by a FIN.
  void turned_away(const Target& target, bool by_reset, TargetContext context);
  // It has failed before its connect(), or, `reached`, the route's upstream says this of it.
  void refused(const Target& target, AttemptError error, bool reached, TargetContext context);
  // What the upstream is to connect to.
  SocksTarget socks_target(const Target& target) const;
  // It was given up after so long, since another one was faster. For the board it is as silent as
  // one that had all its time.
  void outrun(const Target& target, std::uint64_t waited_ms, TargetContext context);

  // Whether next() may find another one.
  bool has_more() const {
    return (left_ | full_) != 0 || address_ < resolution_.count() ||
           next_service_ < service_order_.size() || again_ < put_off_.size();
  }
  // The one that next() spoke of last.
  const Target& target() const { return target_; }
  std::string_view path() const { return dialled(target_).backend.host; }
  std::string_view name() const;
  bool name_is_configured() const { return !dialled(target_).backend.is_of_client(); }
  const Backend& backend_of(const Target& target) const {
    return route_->backends[target.backend]->backend;
  }
  // Counts a connection to the target until its end. The route outlives it.
  BackendLease lease(const Target& target) const;
  // The target has won: its place becomes the connection's, and the others have theirs back.
  BackendLease take_place(const Target& target);
  // None has won: all are given back.
  void leave_places() { places_.clear(); }

  // Whom next() or an end spoke of last, and why it failed; none: it did not, or has not ended.
  const Target& latest() const { return latest_; }
  AttemptError error() const { return error_; }
  EndReason why() const;

 private:
  // The first choice, where it has failed.
  struct FirstFailure {
    std::uint32_t backend = 0;
    AttemptError error = AttemptError::none;
  };

  // A place at a backend that bounds its connections.
  struct Place {
    std::uint32_t backend = 0;  // Index into the route's.
    BackendLease lease;
  };

  bool choose_backend();
  Next find(const ForwardPolicy& policy, TargetContext context);
  bool has_place();
  // A place is waited for before backups have their turn.
  bool waits_for_place() const { return full_ != 0 && (left_ & primaries()) == 0; }
  std::uint64_t primaries() const;
  // Whom to connect to for the sake of the target: its backend, or the route's upstream.
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
  void tell_out(const Target& target, std::uint64_t waited_ms, TargetContext context);
  void tell_answered(const Target& target, TargetContext context) const;
  void tell_of_failover(const Target& target, TargetContext context) const;
  void tell_all_out(TargetContext context) const;
  bool is_configured(const Target& target) const { return !backend_of(target).is_of_client(); }
  EndpointBoard::Id board_id(const Target& target, const EndpointBoard& board) const;
  std::string text_of(const Target& target) const;

  const Route* route_ = nullptr;
  std::string_view requested_name_;
  std::string captured_name_;  // That the current backend makes of it.
  BalanceClient client_;
  std::uint64_t left_ = 0;  // A bit for each backend that has not had its turn,
  std::uint64_t full_ = 0;  // and for each that had no place.
  std::vector<Place> places_;
  Target target_;
  Target latest_;
  AttemptError error_ = AttemptError::none;  // Of latest_.
  Resolution resolution_;
  // Of a service: its targets, their order for this connection, and the next one. The last one
  // before that is the name at hand.
  std::shared_ptr<const std::vector<ServiceTarget>> services_;
  std::vector<std::uint8_t> service_order_;
  std::size_t next_service_ = 0;
  std::uint32_t first_ = 0;    // The backend that was chosen first.
  std::uint32_t turn_ = 0;     // Which of the addresses comes first.
  std::uint16_t address_ = 0;  // The next one of resolution_.
  bool listed_ = false;        // All backends have had their turn; what was put off is left.
  bool asked_ = false;         // The current backend has been handed out, or resolved.
  bool attempted_ = false;     // Some target has been handed out.
  std::optional<FirstFailure> first_failure_;
  std::vector<Target> put_off_;  // Permitted, and to be tried when all others have failed.
  std::size_t again_ = 0;        // How many of these have been.
};

}  // namespace sni
