#pragma once

// Theory of operation: everything before the backend is connected. The first flight is collected
// until it is complete, its server name picks the route, and the route's targets are tried until
// one of them connects (net/connect/attempts.h). All state for that is here, on the heap, and is
// freed when the relay begins, so that an idle relayed connection takes a few hundred bytes.

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

inline TargetContext target_context_of(Loop& loop) {
  return {.board = loop.shared.board,
          .log = loop.refusals_log,
          .changes = loop.changes_log,
          .now_ms = loop.now_ms};
}

class Setup {
 public:
  // All outlive the set-up. `listener`: index into the snapshot's listeners. The snapshot is
  // released once the route is known.
  Setup(Loop& loop, Sockets& sockets, Flow& flow, const FlowSettings& settings,
        std::shared_ptr<const Snapshot> snapshot, std::uint32_t listener);

  // Hello.
  void start_receive();
  Event on_received(const Completion& completion);

  // Route, resolve, connect. A step whose result is known at once returns it. After timeouts.setup
  // no further target is chosen.
  Event choose_target();
  std::optional<Event> start_resolve();
  Event on_resolved(const Resolution& resolution);
  std::optional<Event> start_connect();
  // Waits for a place at one of the full backends.
  std::optional<Event> start_queue();
  std::optional<Event> on_place();
  // nullopt: another attempt at the same address has begun.
  std::optional<Event> on_connected(const Completion& completion);
  void give_up() { attempts_.give_up(); }
  // One has won: cancels the other connects, the question and the wait.
  void cancel_others();
  void cancel_all() { attempts_.cancel_all(); }
  // What is due: of the question or the wait, depending on the phase, and of the connects under
  // way; nullopt: nothing.
  std::optional<Event> due(Phase phase);
  // When something will be due, by the loop's clock.
  std::uint64_t due_at_ms(Phase phase);

  // Whether a client whose first flight is late gets an answer: it has begun a request.
  bool answers_late_flight() const;
  // The answer to a client that is not served because of `reason`.
  std::string answer(EndReason reason) const;

  // Puts the chosen backend's PROXY header, if any, before the flight.
  void tell_backend();

  // For the relay. If another target is left for a retry after this backend ends without sending a
  // byte, the set-up and its flight are kept until then. After timeouts.setup no other target is
  // tried, so that end is for the client to see.
  bool may_retry() const {
    return retries_left_ > 0 && targets_.has_more() && loop_.now_ms < until_ms_;
  }
  // When timeouts.setup is over, by the loop's clock.
  std::uint64_t setup_until_ms() const { return until_ms_; }
  std::span<const std::uint8_t> flight() const { return flight_.bytes(); }
  std::size_t header_bytes() const { return flight_.header_bytes(); }
  // The backend that serves.
  BoardPlace served_by() const { return targets_.place_on(loop_.shared.board, won_); }
  Flight take_flight() { return std::move(flight_); }
  PlanePair take_pair() { return std::exchange(pair_, {}); }
  // The backend has ended that way; its socket is closed.
  void turned_away(bool by_reset);
  // The set-up ends without a relay.
  void release();

 private:
  Event on_flight(const Completion& completion);
  std::optional<Event> take_proxy_header();
  Event refuse_proxy_header(std::string_view why);
  Event refuse(FlightError error);
  Event route(const FirstFlight& flight);
  std::optional<Event> turn_away(const FirstFlight& flight);
  Event refuse_by(Refuse manner);
  std::string whole_answer(EndReason reason) const;
  void record_target();
  void on_resolve_timeout();
  std::optional<Event> leave_queue();
  void end_wait();
  Event on_attempt(const Attempts::Result& result);
  // The deadline of an attempt that begins now.
  std::uint64_t attempt_until_ms() const;
  void count_resolve_time();
  TargetContext target_context() { return target_context_of(loop_); }

  Loop& loop_;
  Sockets& sockets_;
  Flow& flow_;
  const FlowSettings& settings_;
  std::shared_ptr<const Snapshot> snapshot_;  // Until the route is known.
  std::uint32_t listener_;
  FlightScanner scanner_;
  Flight flight_;
  std::string answer_;  // For a flight that no backend gets.
  bool expects_proxy_header_;
  bool bodiless_ = false;                // The request is a HEAD.
  std::optional<Endpoint> destination_;  // Where the client connected to, according to its proxy.
  std::size_t needed_ = 1;               // Bytes that must be there before the next scan.
  TargetList targets_;
  std::uint64_t until_ms_ = 0;  // When timeouts.setup is over; counted from the route on.
  std::uint64_t asked_ms_ = 0;  // When the question under way began; 0: none has.
  std::uint64_t question_until_ms_ = 0;
  std::unique_ptr<PlaceWait> wait_;        // While waiting for a place,
  std::uint64_t queued_ms_ = 0;            // since then,
  std::uint64_t queue_until_ms_ = 0;       // and no longer than this.
  std::uint64_t connecting_since_ms_ = 0;  // 0: no connect has begun.
  std::uint32_t retries_left_ = 0;
  Attempts attempts_;
  Target won_;
  PlanePair pair_;  // Of the winning attempt.
};

}  // namespace sni
