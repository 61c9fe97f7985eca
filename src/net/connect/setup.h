#pragma once

// Theory of operation: everything before the backend is up. The first flight is collected until it
// is complete, the server name in it picks the route, and the route's targets are tried in turn
// until one of them connects. What is needed for that lives here, on the heap, and is gone when the
// relay begins, so that an idle relayed connection is a few hundred bytes.

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/hello/first_flight.h"
#include "core/session/session.h"
#include "net/connect/flight.h"
#include "net/connect/target.h"
#include "net/flow/flow_settings.h"
#include "net/loop/loop.h"
#include "net/loop/sockets.h"
#include "net/server/snapshot.h"

namespace sni {

class Setup {
 public:
  // All outlive the set-up. `listener`: index into the snapshot's listeners. The snapshot is let go
  // once the route is known.
  Setup(Loop& loop, Sockets& sockets, Flow& flow, const FlowSettings& settings,
        std::shared_ptr<const Snapshot> snapshot, std::uint32_t listener);

  // Hello.
  void start_receive();
  Event on_received(const Completion& completion);

  // Route, resolve, connect. What has its result at once returns it. No target is chosen any more
  // once timeouts.setup is over.
  Event choose_target();
  std::optional<Event> start_resolve();
  Event on_resolved(const Resolution& resolution);
  void on_resolve_timeout();
  std::optional<Event> start_connect();
  // nullopt: another attempt at the same address has begun.
  std::optional<Event> on_connected(const Completion& completion);
  // When the question or the connect that begins now is given up; of the loop's clock.
  std::uint64_t attempt_until_ms() const;

  // What the client gets that is not served because of `reason`.
  std::string answer(EndReason reason) const;

  // For the relay.
  Flight take_flight() { return std::move(flight_); }
  PlanePair pair() const { return pair_; }
  // It ends without a relay.
  void release() { loop_.planes.leave(pair_, /*connected=*/true, loop_.now_ms); }

 private:
  Event on_flight(const Completion& completion);
  Event refuse(FlightError error);
  Event route(const FirstFlight& flight);
  std::optional<Event> turn_away(const FirstFlight& flight);
  void record_target();
  void count_resolve_time();
  TargetContext target_context() {
    return {.board = loop_.shared.board, .log = loop_.refusals_log, .now_ms = loop_.now_ms};
  }
  std::optional<Event> connect(bool announced);

  Loop& loop_;
  Sockets& sockets_;
  Flow& flow_;
  const FlowSettings& settings_;
  std::shared_ptr<const Snapshot> snapshot_;  // Until the route is known.
  std::uint32_t listener_;
  FlightScanner scanner_;
  Flight flight_;
  std::string answer_;      // To a flight that no backend gets.
  std::size_t needed_ = 1;  // Bytes that must be there before the next scan.
  TargetList targets_;
  std::uint64_t until_ms_ = 0;  // When timeouts.setup is over; counted from the route on.
  std::uint64_t asked_ms_ = 0;  // When the question or the attempt under way began.
  PlanePair pair_;
  sockaddr_storage address_{};  // Read by the kernel until the connect completes.
};

}  // namespace sni
