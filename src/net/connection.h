#pragma once

// Theory of operation: one connection, from the accepted client to the freed slot. core/session
// decides; this class has its actions performed and turns their results into its events:
//
//   completion, answer, deadline -> Event -> Session::step -> Actions -> requests to the ring
//
// The performer changes once: Setup until the backend is connected (net/connect/), then Relay
// (net/relay/), or Answering for a client that is not served. An action with an immediate result (a
// cached name, a target, an empty send queue) leaves it in `next_`, and the loop in advance() steps
// again: nothing recurses, and no handler runs inside a submit.
//
// The connection's flow enters the ledger before the connection begins and ends with it, unless a
// plane has taken the flow over.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/session/session.h"
#include "core/unique_fd.h"
#include "net/connect/answering.h"
#include "net/connect/setup.h"
#include "net/flow/ledger.h"
#include "net/flow/live_flow.h"
#include "net/loop/loop.h"
#include "net/loop/sockets.h"
#include "net/relay/relay.h"

namespace sni {

struct ConnectionStart {
  std::uint32_t slot;
  std::uint16_t generation;
  UniqueFd client;
  Flow& flow;              // In the loop's ledger, with client, listener and start filled in.
  std::uint32_t listener;  // Index into the snapshot's listeners.
  std::shared_ptr<const Snapshot> snapshot;
};

class Connection {
 public:
  Connection(Loop& loop, ConnectionStart start);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void on_completion(const Completion& completion);
  void on_resolved(const Resolution& resolution) { advance(setup_->on_resolved(resolution)); }
  // A place at a backend was granted, if the connection still waits for one.
  void on_place();
  void on_deadline();
  // LowWaterQueue::expire() calls it.
  std::optional<std::uint64_t> on_low_water_due(Side side) {
    return relay_ ? relay_->on_low_water_due(side) : std::nullopt;
  }
  void kill(EndReason reason) { advance({.kind = Event::Kind::kill, .reason = reason}); }

  // Includes bytes that the kernel has moved, which takes a look-up.
  FlowProgress progress();

  // Nothing is in flight and both sockets are closed: the slot can be freed.
  bool closed() const { return session_.phase() == Phase::closed; }

 private:
  // How often a draining send queue is polled; the kernel has no event for it.
  static constexpr std::chrono::milliseconds flush_interval{10};
  // How often a side that has sent its FIN is watched for a reset. io_uring reports the FIN each
  // time and at once, so a watch only shows what has happened before it. Most connections end sooner
  // and need none.
  static constexpr std::chrono::milliseconds half_closed_look{1000};

  void advance(Event event);
  void perform(const Action& action);

  std::optional<Event> on_receive(Side side, const Completion& completion);
  std::optional<Event> on_send(Side side, const Completion& completion);
  std::optional<Event> on_connect(const Completion& completion);
  std::optional<Event> on_watch(Side side, const Completion& completion);

  void start_receive(Side side);
  void start_send(Side side);
  void start_answer();
  void watch(Side side);
  void watch_again(Side side, std::int32_t result);
  void shut_down(Side side);
  void flush();
  void cancel(bool sends_too);
  void hand_over();
  void close();

  void begin_relay();
  void retreat();
  void drop_kept();
  std::optional<Event> on_backend_end(const Event& event);
  void on_setup_deadline();
  void watch_setup();
  IdleTimeouts idle_timeouts() const;
  void set_deadline(std::chrono::milliseconds delay);
  void set_relay_deadline(std::uint64_t at_ms);

  Loop& loop_;
  Session session_;
  Sockets sockets_;
  Flow& flow_;
  std::shared_ptr<const FlowSettings> settings_;
  std::unique_ptr<Setup> setup_;          // Until the backend is connected or an answer begins.
  std::unique_ptr<Setup> kept_;           // After that, while another backend may be tried.
  std::unique_ptr<Answering> answering_;  // From then on, for a client that is not served.
  std::optional<Relay> relay_;            // From then on, for all others.
  BoardPlace served_by_;                  // The relay's backend.
  bool reset_early_ = false;              // Retreating from a backend that sent an RST.
  bool half_closed_ = false;              // The client sent its FIN before a backend was connected.
  std::optional<Event> next_;
  bool taken_over_ = false;  // The flow lives on in a plane.
};

}  // namespace sni
