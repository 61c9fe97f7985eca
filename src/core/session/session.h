#pragma once

// Theory of operation: the life of one connection as a pure step function, event in, actions out.
//
//   hello -> resolving, queued -> connecting -> relaying -> draining -> closing -> closed
//                            \-> answering (alert or HTTP error) ------^
//                          relaying/draining -> resetting -----^
//                          relaying -> retreating (from a backend that turns the client away)
//                                           -> connecting
//                          relaying <-> handing (to a plane that takes both sockets) -> closed
//
// During set-up several connects may be under way at once. If one has no answer for a while,
// another begins beside it and the first goes on (RFC 8305 section 5). The first one answered wins;
// the others are cancelled, and the relay begins when they have ended.
//
// A phase names what we wait for. net/connection performs the actions and reports each completion
// as an event; no action completes inside step(). Every operation in flight is a bit of `armed`,
// set here when the action is requested and cleared here when its completion comes. So "nothing is
// freed while something is in flight" is a property of this file alone: closed means armed == 0.
//
// Each direction is a pipe, named by the side it reads from. A pipe receives, then sends all it has
// received, then receives again. EOF can only be seen when nothing is held, so a FIN is always
// forwarded after that side's bytes. The same code serves both directions.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sni {

enum class Side : std::uint8_t { client = 0, backend = 1 };

constexpr Side other(Side side) {
  return side == Side::client ? Side::backend : Side::client;
}
constexpr std::size_t index(Side side) {
  return static_cast<std::size_t>(side);
}

enum class Phase : std::uint8_t {
  hello,       // The first flight, whole.
  resolving,   // A backend's addresses; perhaps also SYN-ACKs of others.
  queued,      // A place at a full backend; perhaps also SYN-ACKs.
  connecting,  // A backend's SYN-ACK.
  relaying,    // Bytes from both sides.
  draining,    // Bytes and FIN of the other side, after one FIN.
  retreating,  // The end of all operations in flight with a backend that ended before it sent a
               // byte. Then the next backend is tried.
  handing,     // The end of all operations in flight, then a plane that takes both sockets.
  answering,   // The end of sending our alert or HTTP error, then the client's FIN.
  resetting,   // Bytes of the side that was reset to reach the other.
  closing,     // Completions of what is still in flight.
  closed,      // Nothing. The slot can be freed.
};

// Why a connection ended; used in the access line and the counters.
enum class EndReason : std::uint8_t {
  none,
  done,  // Both FINs forwarded.
  client_reset,
  backend_reset,
  client_lost,  // It acknowledged nothing any more, or cannot be reached.
  backend_lost,
  client_left,   // Before its first flight was complete, or before a backend was connected.
  nothing_sent,  // As client_left, without sending a byte: usually a health probe.
  not_the_protocol,
  malformed,
  oversized,
  hello_timeout,
  proxy_header,  // PROXY protocol: missing, invalid, or sent by a peer that must not.
  shut_out,      // By lists, bans or limits, after a proxy announced the client.
  no_route,
  refused,     // By the route (refuse).
  redirected,  // To https, by the route (redirect).
  forbidden,   // A dynamic route to a private or own address, or a loop.
  unresolved,
  unreachable,      // Every address refused.
  route_full,       // The route is at its limit of connections.
  queue_full,       // Every backend is at its limit of connections, and its queue is full.
  queue_timeout,    // Every backend was full, and no place became free in time.
  no_local_port,    // As unreachable, for want of a local port.
  no_descriptor,    // As unreachable, for want of a file descriptor.
  connect_timeout,  // As unreachable, and the last address did not answer at all.
  idle_timeout,
  half_closed_timeout,  // One side had sent its FIN, and the other sent nothing more.
  hello_memory,         // limits.hello_memory was used up when it arrived.
  relay_memory,         // Stalled readers had used up limits.relay_memory.
  cut,                  // By the drain deadline.
  killed,               // By the command of that name.
  internal,             // An operation failed in an unknown way.
};
inline constexpr std::size_t end_reasons = static_cast<std::size_t>(EndReason::internal) + 1;
const char* to_string(EndReason reason);
// The client sent something other than a hello, or nothing in time.
constexpr bool is_bad_hello(EndReason reason) {
  return reason == EndReason::not_the_protocol || reason == EndReason::malformed ||
         reason == EndReason::oversized || reason == EndReason::hello_timeout ||
         reason == EndReason::proxy_header;
}
const char* to_string(Phase phase);

// What can be in flight. One bit per operation and side.
enum class Operation : std::uint8_t { receive, send, connect, watch };

struct Action {
  enum class Kind : std::uint8_t {
    receive,  // Start to receive from `side`.
    send,     // Start to send what pipe `side` holds to the other side.
    answer,   // Start to send the answer to the client.
    // Choose the next address to try. Reports target_ready, _named, _full or _exhausted.
    next_target,
    resolve,        // Ask for the addresses of a backend's name. Ends with resolved or unresolved.
    queue,          // Wait for a place at a backend. Ends with place_found or place_refused.
    connect,        // Start to connect to the chosen address, beside connects under way.
    give_up,        // Cancel the connects whose time is over.
    cancel_others,  // One connect has won: cancel the others, the question and the wait.
    retreat,        // Close the backend's socket and restore the first flight for the next backend.
    begin_relay,    // The backend is connected, and no other connect is under way.
    watch,          // Start to watch `side` for a reset while nothing is received from it.
    shut_down,      // Send FIN to `side`.
    flush,          // Wait until `side` has all bytes received for it. Reports flushed.
    cancel,         // Cancel all that is armed.
    rest,           // Cancel waits for bytes or a reset; sends continue, until the deadline.
    hand_over,      // Continue the hand-over: nothing is in flight or held. Armed as a watch.
    reset,          // Make the close of `side` send an RST.
    close,          // Close both sides and free the slot. Always the last action.
  };
  Kind kind;
  Side side = Side::client;
  bool operator==(const Action&) const = default;
};

// The actions of one step, in the order in which they are to be performed.
class Actions {
 public:
  void add(Action::Kind kind, Side side = Side::client) { list_[size_++] = {kind, side}; }
  const Action* begin() const { return list_.data(); }
  const Action* end() const { return list_.data() + size_; }
  std::size_t size() const { return size_; }

 private:
  std::array<Action, 6> list_;
  std::uint8_t size_ = 0;
};

struct Event {
  enum class Kind : std::uint8_t {
    accepted,
    // Completions of receive.
    flight_incomplete,
    flight_routed,   // There is a route.
    flight_refused,  // The client gets an answer; reason says which.
    flight_invalid,  // The client gets none; reason says why.
    received,        // Pipe `side` now holds bytes.
    eof,
    reset,          // `lost`: the connection died without an RST.
    turned_away,    // Instead of the backend's eof or reset: it sent nothing, the first flight is
                    // still complete, and there may be another backend.
    receive_again,  // It ended without a result (-EAGAIN, -ENOBUFS); no bytes are lost.
    discarded,      // answering: input discarded, within the bound.
    discarded_all,  // answering: the bound is reached.
    // Completions of send.
    sent,           // Pipe `side` is empty; answering: the answer is sent.
    blocked,        // Some bytes are left: the reader is slower than the writer.
    send_failed,    // The other side accepts no more bytes.
    overcommitted,  // As blocked, without memory left to hold them.
    // Completions of connect.
    connected,
    connect_failed,  // Or another one has won.
    // Completion of watch.
    hung_up,  // `lost` as with reset.
    watch_ended,
    // Completions of hand_over.
    hand_over_waits,
    handed_over,  // The plane has both sockets.
    handed_back,  // Nothing has changed.
    hand_over_broken,
    // Completion of a cancelled operation.
    cancelled,
    // No completions.
    target_ready,      // An address is chosen.
    target_named,      // The next backend is a name whose addresses are not known yet.
    target_full,       // Only full backends are left.
    target_exhausted,  // Nothing is left to try; reason says why.
    resolved,
    unresolved,
    place_found,
    place_refused,
    flushed,
    flight_late,    // hello has lasted too long, and the client gets an answer.
    set_up_slowly,  // resolving or connecting has lasted a while.
    attempt_due,    // The last connect has lasted so long that another may begin.
    attempt_over,   // The time of a connect is over.
    half_closed,    // draining has.
    wanted,         // A plane wants both sockets; relaying only.
    deadline,       // handing: a reader takes so long that the other direction must go on.
    kill,
  };
  Kind kind;
  Side side = Side::client;
  bool lost = false;                         // reset, hung_up only.
  Operation operation = Operation::receive;  // cancelled only.
  // flight_refused, flight_invalid, target_exhausted, kill; eof, reset and deadline if not the
  // usual one.
  EndReason reason = EndReason::none;
};

class Session {
 public:
  // Advances by one event. The caller performs the actions in order before the next event.
  Actions step(const Event& event);

  Phase phase() const { return phase_; }
  EndReason reason() const { return reason_; }
  bool armed(Operation operation, Side side) const { return (armed_ & bit(operation, side)) != 0; }
  // Connects that are under way; connect is armed while there is one.
  std::size_t attempts() const { return attempts_; }
  // One of them was answered.
  bool won() const { return won_; }
  // relaying, draining: bytes have come beside the first flight, so that this backend is the last.
  bool spoken() const { return spoken_; }
  bool anything_armed() const { return armed_ != 0; }
  bool eof(Side side) const { return eof_[index(side)]; }
  bool broken(Side side) const { return broken_[index(side)]; }
  bool holding(Side side) const { return holding_[index(side)]; }
  Side reset_target() const { return reset_target_; }

 private:
  static constexpr std::uint8_t bit(Operation operation, Side side) {
    return static_cast<std::uint8_t>(1U << (static_cast<unsigned>(operation) * 2 + index(side)));
  }
  void arm(Actions& actions, Operation operation, Side side);
  void complete(const Event& event);
  void step_setup(const Event& event, Actions& actions);
  void on_attempt_failed(Actions& actions);
  void on_attempt_won(Actions& actions);
  void begin_relay(Actions& actions);
  void step_relay(const Event& event, Actions& actions);
  void step_handing(const Event& event, Actions& actions);
  void step_reset(const Event& event, Actions& actions);
  void step_answer(const Event& event, Actions& actions);
  void step_retreat(const Event& event, Actions& actions);
  void retreat_at_rest(Actions& actions);
  void on_eof(Side side, Actions& actions);
  void start_handing(Actions& actions);
  void hand_over_at_rest(Actions& actions);
  void relay_again(Actions& actions);
  void receive_again(Actions& actions);
  void watch_blocked(Side side, Actions& actions);
  void start_answer(EndReason reason, Actions& actions);
  void start_reset(Side from, bool lost, Actions& actions);
  void finish(EndReason reason, Actions& actions);
  void close_when_idle(Actions& actions);

  Phase phase_ = Phase::hello;
  EndReason reason_ = EndReason::none;
  std::uint8_t armed_ = 0;
  std::uint8_t attempts_ = 0;
  bool won_ = false;
  bool spoken_ = false;
  bool exhausted_ = false;         // No other target is left beside the attempts under way.
  std::array<bool, 2> eof_{};      // FIN received from this side, so that its pipe has ended.
  std::array<bool, 2> broken_{};   // This side accepts no more bytes: it was reset.
  std::array<bool, 2> holding_{};  // The pipe from this side holds bytes.
  bool answered_ = false;
  Side reset_target_ = Side::client;
  std::array<bool, 2> resets_{};  // The close of this side must send an RST.
};

}  // namespace sni
