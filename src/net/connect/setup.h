#pragma once

// Theory of operation: everything before the backend is up. The first flight is collected until it
// is complete, the server name in it picks the route, and the route's targets are tried until one of
// them connects (net/connect/attempts.h). What is needed for that lives here, on the heap, and is
// gone when the relay begins, so that an idle relayed connection is a few hundred bytes.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "core/hello/first_flight.h"
#include "core/session/session.h"
#include "net/connect/attempts.h"
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
  std::optional<Event> start_connect();
  // For a place at one of the backends that have all the connections that they may.
  std::optional<Event> start_queue();
  std::optional<Event> on_place();
  // nullopt: another attempt at the same address has begun.
  std::optional<Event> on_connected(const Completion& completion);
  void give_up() { attempts_.give_up(); }
  // One has won: no other connect goes on, no question and no wait.
  void cancel_others();
  void cancel_all() { attempts_.cancel_all(); }
  // What has become due, of the question or the wait, as the phase has it, and of the connects under
  // way; nullopt: nothing has.
  std::optional<Event> due(Phase phase);
  // When something will; of the loop's clock.
  std::uint64_t due_at_ms(Phase phase);

  // What the client gets that is not served because of `reason`.
  std::string answer(EndReason reason) const;

  // Puts before the flight what the chosen backend is to know of its client.
  void tell_backend();

  // For the relay. Where another target is left, and may be tried if this one ends before it has
  // sent a byte, the set-up is kept until then, and with it the flight.
  bool may_retry() const { return retries_left_ > 0 && targets_.has_more(); }
  std::span<const std::uint8_t> flight() const { return flight_.bytes(); }
  std::size_t header_bytes() const { return flight_.header_bytes(); }
  Flight take_flight() { return std::move(flight_); }
  PlanePair take_pair() { return std::exchange(pair_, {}); }
  // The backend has ended so; its socket is closed.
  void turned_away(bool by_reset);
  // It ends without a relay.
  void release();

 private:
  Event on_flight(const Completion& completion);
  std::optional<Event> take_proxy_header();
  Event refuse_proxy_header(std::string_view why);
  Event refuse(FlightError error);
  Event route(const FirstFlight& flight);
  std::optional<Event> turn_away(const FirstFlight& flight);
  Event refuse_by(Refuse manner);
  void record_target();
  void on_resolve_timeout();
  std::optional<Event> leave_queue();
  void end_wait();
  Event on_attempt(const Attempts::Result& result);
  // When what begins now is given up.
  std::uint64_t attempt_until_ms() const;
  void count_resolve_time();
  TargetContext target_context() {
    return {.board = loop_.shared.board, .log = loop_.refusals_log, .now_ms = loop_.now_ms};
  }

  Loop& loop_;
  Sockets& sockets_;
  Flow& flow_;
  const FlowSettings& settings_;
  std::shared_ptr<const Snapshot> snapshot_;  // Until the route is known.
  std::uint32_t listener_;
  FlightScanner scanner_;
  Flight flight_;
  std::string answer_;  // To a flight that no backend gets.
  bool expects_proxy_header_;
  std::optional<Endpoint> destination_;  // That the client has connected to, as its proxy says.
  std::size_t needed_ = 1;               // Bytes that must be there before the next scan.
  TargetList targets_;
  std::uint64_t until_ms_ = 0;  // When timeouts.setup is over; counted from the route on.
  std::uint64_t asked_ms_ = 0;  // When the question under way began; 0: none has.
  std::uint64_t question_until_ms_ = 0;
  std::unique_ptr<PlaceWait> wait_;        // While a place is waited for,
  std::uint64_t queued_ms_ = 0;            // since then,
  std::uint64_t queue_until_ms_ = 0;       // and no longer than this.
  std::uint64_t connecting_since_ms_ = 0;  // 0: no connect has begun.
  std::uint32_t retries_left_ = 0;
  Attempts attempts_;
  Target won_;
  PlanePair pair_;  // Of the one that has won.
};

}  // namespace sni
