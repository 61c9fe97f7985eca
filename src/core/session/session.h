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
// While the backend is looked for, several connects may be under way at once: one that has not been
// answered for a while gets company and is not given up for it (RFC 8305 section 5). The first that
// is answered wins; the others are cancelled, and the relay begins when they have ended too.
//
// A phase names what we wait for. net/connection performs the actions and reports each completion
// as an event; no action completes inside step(). Everything that is in flight is a bit of `armed`,
// set here when the action is asked for and cleared here when its completion comes, so that
// "nothing is freed while something is in flight" is a property of this file alone: closed means
// armed == 0.
//
// Each direction is a pipe, named by the side it reads from. A pipe receives, then sends all it has
// received, then receives again: EOF can only be seen when nothing is held, and so a FIN is
// forwarded after that side's bytes by construction. The same code serves both directions.

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
  resolving,   // Addresses of a backend; of others perhaps a SYN-ACK.
  queued,      // A place at a backend that has all the connections that it may; likewise.
  connecting,  // A backend's SYN-ACK.
  relaying,    // Bytes from both sides.
  draining,    // One side has sent FIN: bytes and FIN of the other.
  retreating,  // The end of all that is in flight with a backend that has ended before it has sent a
               // byte: then the next one is tried.
  handing,     // A plane to take both sockets: first the end of all that is in flight.
  answering,   // Our own alert or HTTP error to be sent, then the client's FIN.
  resetting,   // One side was reset: what was received from it to reach the other side.
  closing,     // Completions of what is still in flight.
  closed,      // Nothing. The slot can be freed.
};

// Why a connection ended; the access line and the counters use these.
enum class EndReason : std::uint8_t {
  none,
  done,  // Both FINs forwarded.
  client_reset,
  backend_reset,
  client_lost,  // It acknowledged nothing any more, or cannot be reached.
  backend_lost,
  client_left,   // Before its first flight was complete, or before a backend was there.
  nothing_sent,  // As client_left, and it sent no byte: a health probe, as a rule.
  not_the_protocol,
  malformed,
  oversized,
  hello_timeout,
  proxy_header,  // Of the PROXY protocol: missing, wrong, or from somebody who must not send one.
  shut_out,      // By lists, bans or limits, once a proxy had told who the client is.
  no_route,
  refused,     // By the route (refuse).
  redirected,  // To https, by the route (redirect).
  forbidden,   // A dynamic route to a private or own address, or a loop.
  unresolved,
  unreachable,      // Every address refused.
  route_full,       // The route has all the connections that it may.
  queue_full,       // Every backend has all the connections that it may, and who may wait does.
  queue_timeout,    // As queue_full, and no place was left in time.
  no_local_port,    // As unreachable, for want of a local port.
  connect_timeout,  // As unreachable, and the last address gave no answer at all.
  idle_timeout,
  half_closed_timeout,  // One side had sent its FIN, and the other one sent nothing any more.
  hello_memory,         // limits.hello_memory was used up when it came.
  relay_memory,         // limits.relay_memory was used up by readers that stall.
  cut,                  // By the drain deadline.
  killed,               // By the command of that name.
  internal,             // An operation failed in a way we do not know.
};
inline constexpr std::size_t end_reasons = static_cast<std::size_t>(EndReason::internal) + 1;
const char* to_string(EndReason reason);
// The client sent something else than a hello, or not in time.
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
    receive,        // Start to receive from `side`.
    send,           // Start to send what pipe `side` holds to the other side.
    answer,         // Start to send the answer to the client.
    next_target,    // Choose the next address to try: report target_ready, _named or _exhausted.
    resolve,        // Ask for the addresses of a backend's name. Ends with resolved or unresolved.
    queue,          // Wait for a place at a backend. Ends with place_found or place_refused.
    connect,        // Start to connect to the chosen address, beside others that are under way.
    give_up,        // Cancel the connects whose time is over.
    cancel_others,  // Cancel the connects, the question and the wait that are open, for one has won.
    retreat,      // Close the backend's socket: the first flight is whole again, for the next one.
    begin_relay,  // The backend is there, and no other connect is under way any more.
    watch,        // Start to watch `side` for a reset, since nothing is being received from it.
    shut_down,    // Send FIN to `side`.
    flush,        // Wait until `side` has all that was received for it: then report flushed.
    cancel,       // Cancel all that is armed.
    rest,         // Cancel what waits for bytes or a reset; sends go on to their end.
    hand_over,    // Nothing is in flight or held: go on with the hand-over. Armed as a watch.
    reset,        // Let the close of `side` be a RST.
    close,        // Close both sides and free the slot. Always the last action.
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
    reset,        // `lost`: no RST, the connection has died by itself.
    turned_away,  // In place of the backend's eof or reset: it has sent nothing, the first flight is
                  // still whole, and there may be another backend.
    receive_again,  // It ended without a result (-EAGAIN, -ENOBUFS): nothing lost, nothing gained.
    discarded,      // answering: input thrown away, within the bound.
    discarded_all,  // answering: the bound is reached.
    // Completions of send.
    sent,           // Pipe `side` holds nothing any more; answering: the answer is sent.
    blocked,        // Some bytes are left: the reader is slower than the writer.
    send_failed,    // The other side takes no more bytes.
    overcommitted,  // As blocked, and there is no memory left to hold them.
    // Completions of connect.
    connected,
    connect_failed,  // Or another one has won.
    // Completion of watch.
    hung_up,  // `lost` as with reset.
    watch_ended,
    // Completions of hand_over.
    hand_over_waits,
    handed_over,  // Both sockets have left.
    handed_back,  // Nothing has changed.
    hand_over_broken,
    // Completion of whatever was armed, by a cancel.
    cancelled,
    // No completions.
    target_ready,      // An address is chosen.
    target_named,      // The next backend is a name whose addresses are not known yet.
    target_full,       // Nobody is left but backends that have all the connections that they may.
    target_exhausted,  // There is nothing left to try; reason says what it failed of.
    resolved,
    unresolved,
    place_found,
    place_refused,
    flushed,
    set_up_slowly,  // resolving or connecting has lasted a while.
    attempt_due,   // The last connect to begin has lasted so long that another may begin beside it.
    attempt_over,  // The time of a connect is over.
    half_closed,   // draining has.
    wanted,        // A plane wants both sockets; relaying only.
    deadline,
    kill,
  };
  Kind kind;
  Side side = Side::client;
  bool lost = false;                         // reset, hung_up only.
  Operation operation = Operation::receive;  // cancelled only.
  // flight_refused, flight_invalid, target_exhausted, kill; eof, reset and deadline where it is
  // another than usual.
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
  // relaying: bytes have come beside the first flight, so that this backend is the last.
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
  void receive_again(Actions& actions);
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
  bool exhausted_ = false;         // There is no other target beside the attempts under way.
  std::array<bool, 2> eof_{};      // FIN received from this side, so that its pipe has ended.
  std::array<bool, 2> broken_{};   // This side takes no more bytes: it was reset.
  std::array<bool, 2> holding_{};  // The pipe from this side holds bytes.
  bool answered_ = false;
  Side reset_target_ = Side::client;
  bool reset_pending_ = false;  // The close of reset_target_ is to be a RST.
};

}  // namespace sni
