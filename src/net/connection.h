#pragma once

// Theory of operation: one connection, from the accepted client to the freed slot. core/session/session
// decides; this class performs its actions and turns what comes of them into its events:
//
//   completion, answer, deadline -> Event -> Session::step -> Actions -> requests to the ring
//
// An action that has its result at once (a cached name, a target, an empty send queue) leaves it in
// `next_`, and the loop in advance() steps again: nothing recurses, and no handler runs inside a
// submit. What is needed until the backend has the first flight lives in Setup, on the heap, and is
// gone afterwards, so that an idle relayed connection is a few hundred bytes.

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/hello/first_flight.h"
#include "core/session/session.h"
#include "core/unique_fd.h"
#include "net/connect/target.h"
#include "net/loop/loop.h"
#include "net/relay/pipe.h"
#include "net/relay/splice.h"
#include "net/server/snapshot.h"

namespace sni {

struct ConnectionStart {
  std::uint32_t slot;
  std::uint16_t generation;
  UniqueFd client;
  Endpoint peer;
  std::uint32_t listener;  // Index into the snapshot's listeners.
  std::shared_ptr<const Snapshot> snapshot;
  bool source_counted;  // In Shared::sources, to be released at the end.
};

class Connection {
 public:
  Connection(Loop& loop, ConnectionStart start);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void on_completion(const Completion& completion);
  void on_resolved(const Resolution& resolution);
  void on_deadline();
  // See net/relay/patience.h.
  std::optional<std::uint64_t> on_patience_due(Side side);
  void kill(EndReason reason);

  // Nothing is in flight and both sockets are closed: the slot can be freed.
  bool closed() const { return session_.phase() == Phase::closed; }

 private:
  // How often a send queue is looked at while it drains; the kernel has no event for it.
  static constexpr std::chrono::milliseconds flush_interval{10};

  // Needed until the backend has the first flight.
  struct Setup {
    explicit Setup(Protocol protocol) : scanner(protocol) {}
    FlightScanner scanner;
    std::vector<std::uint8_t> flight;
    std::size_t needed = 1;  // Bytes that must be there before the next scan.
    TargetList targets;
    sockaddr_storage address{};  // Read by the kernel until the connect completes.
  };

  // Of the receives from a side.
  struct Patient {
    bool patient = false;        // They wait for limits::patience_bytes.
    bool queued = false;         // In loop_.patience.
    std::uint64_t since_ms = 0;  // When the latest patient one was armed.
  };

  void advance(Event event);
  void perform(const Action& action);

  Event on_received(Side side, const Completion& completion);
  Event on_flight(const Completion& completion);
  Event on_sent(Side side, const Completion& completion);
  Event on_connected(const Completion& completion);
  void remember_silence();
  Event on_watched(Side side, const Completion& completion) const;

  bool may_splice(Side side) const;
  void start_bulk_receive(Side side);
  void be_patient(Side side, bool patient);
  void start_bulk_send(Side side);
  Event on_bulk_readable(Side side, const Completion& completion);
  Event on_bulk_writable(Side side, const Completion& completion);
  Event drain_bulk(Side side, std::uint32_t least);

  void start_receive(Side side);
  void start_send(Side side);
  void start_answer();
  void start_resolve();
  void start_connect();
  void start_cancel();
  void choose_target();
  void flush();
  bool flushed();
  void close();
  void log_end() const;

  void leave_hello();
  void enter_relay();
  void advance_plane();
  PlaneView plane_view() const;
  bool gated() const { return plane_.stage == PlanePair::Stage::gated; }
  void start_gated_receive();
  std::optional<Event> on_gated_received(const Completion& completion);
  std::optional<Event> on_gated_end();
  bool hold_back_send();
  void set_deadline(std::chrono::milliseconds delay);
  OpTag tag(Op op, Side side) const;
  int fd(Side side) const { return fd_[index(side)].get(); }
  const Pipe& pipe(Side side) const { return pipe_[index(side)]; }
  Pipe& pipe(Side side) { return pipe_[index(side)]; }
  const Config& config() const { return snapshot_->config; }

  Loop& loop_;
  Session session_;
  std::array<UniqueFd, 2> fd_;
  std::array<Pipe, 2> pipe_;  // By the side that each reads from.
  std::array<BulkGauge, 2> gauge_{};
  std::array<std::unique_ptr<Splice>, 2> splice_;  // Borrowed while it holds bytes.
  std::array<bool, 2> bulk_armed_{};               // The receive in flight is a poll for splicing.
  std::array<Patient, 2> patience_{};
  std::array<bool, 2> bulk_stalled_{};  // The reader had no room for all that was spliced.
  bool guarded_ = false;                // guard_splice() has been called.
  std::array<bool, 2> more_waiting_{};  // The last receive left bytes in the socket.
  bool source_counted_;
  bool hello_pending_ = true;  // Counted in Shared::pending_hellos.
  bool relayed_ = false;       // It got as far as two connected sockets.
  bool ech_ = false;
  std::uint16_t generation_;
  std::uint16_t tls_version_ = 0;
  std::uint32_t slot_;
  std::uint32_t listener_;
  std::uint32_t discarded_ = 0;    // Input thrown away after an answer.
  std::uint32_t last_unsent_ = 0;  // In the send queues, at the last look of a timer.
  std::uint64_t started_ms_;
  std::uint64_t active_ms_;  // When bytes moved last, or a flush began.
  std::shared_ptr<const Snapshot> snapshot_;
  const RouteConfig* route_ = nullptr;
  std::unique_ptr<Setup> setup_;
  Endpoint peer_;
  PlanePair plane_;
  // What the armed receive from a gated backend really is, and whether the armed send to its client
  // is a pause: net/connection_gated.cpp.
  enum class GatedReceive : std::uint8_t { bytes, sleep, pause, end };
  GatedReceive gated_receive_ = GatedReceive::bytes;
  bool send_paused_ = false;
  const Backend* backend_ = nullptr;  // The one that was tried last.
  Endpoint backend_address_;          // Of it; port 0: a UNIX socket.
  std::string name_;
  std::string alpn_;
  std::optional<Event> next_;
};

}  // namespace sni
