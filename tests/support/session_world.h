#pragma once

// A world without a kernel around one Session: it records the actions, and a source of choices
// picks the next of all possible events. Every rule of a session is checked after every step; a
// violation throws.

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "core/limits.h"
#include "core/session/session.h"
#include "support/gated_backend.h"

namespace sni::test {

class SessionWorld {
 public:
  // choose(n) returns a number below n.
  using Kind = Event::Kind;
  using Choose = std::function<std::size_t(std::size_t)>;

  explicit SessionWorld(Choose choose) : choose_(std::move(choose)) {
    if (choose_(4) == 3) gated_.emplace();
    give({.kind = Kind::accepted});
  }

  // Makes events happen until the session is closed, with a kill after `steps` at the latest.
  void run(std::size_t steps) {
    for (std::size_t i = 0; i < steps && !closed_; ++i) happen();
    if (!closed_) give({.kind = Kind::kill, .reason = EndReason::cut});
    while (!closed_) {
      const auto possible = completions();
      require(!possible.empty(), "a session that is not closed waits for something");
      give(possible[choose_(possible.size())]);
    }
  }

  // All events possible now, except a kill.
  std::vector<Event> possible() const {
    if (due_) return *due_;  // An immediate result precedes everything else.
    auto events = completions();
    const Phase phase = session_.phase();
    const bool relays = phase == Phase::relaying || phase == Phase::draining;
    require(!relays || gated() || !events.empty(), "the end of a side is seen before a timeout");
    if (phase == Phase::resolving) {
      events.push_back({.kind = Kind::resolved});
      events.push_back({.kind = Kind::unresolved});
    }
    if (phase == Phase::queued) {
      events.push_back({.kind = Kind::place_found});
      events.push_back({.kind = Kind::place_refused});
    }
    if (phase == Phase::resolving || phase == Phase::queued || phase == Phase::connecting) {
      events.push_back({.kind = Kind::set_up_slowly});
      events.push_back({.kind = Kind::attempt_due});
      if (session_.attempts() > 0) events.push_back({.kind = Kind::attempt_over});
    }
    if (phase == Phase::hello) events.push_back({.kind = Kind::flight_late});
    if (phase == Phase::resetting) events.push_back({.kind = Kind::flushed});
    if (phase < Phase::resetting && phase != Phase::connecting) {
      events.push_back({.kind = Kind::deadline});
    }
    if (phase == Phase::draining) events.push_back({.kind = Kind::half_closed});
    if (phase == Phase::relaying) events.push_back({.kind = Kind::wanted});
    return events;
  }

  // Makes the event happen. Returns the session's actions.
  Actions give(const Event& event) {
    due_.reset();
    const bool was_closing = session_.phase() >= Phase::closing;
    const std::size_t from = index(event.side);
    if (event.kind == Kind::received) held_[from] = true;
    if (event.kind == Kind::sent || event.kind == Kind::send_failed) held_[from] = false;
    if (event.kind == Kind::connected || event.kind == Kind::connect_failed) --attempts_;
    if (event.kind == Kind::cancelled && event.operation == Operation::connect) --attempts_;
    if (event.kind == Kind::eof) eof_[from] = true;
    if (event.kind == Kind::handed_over) handed_over_ = true;
    const Actions actions = session_.step(event);
    forget_completed(event);
    for (const Action& action : actions) perform(action, was_closing);
    if (session_.phase() == Phase::resetting) check_reset();
    require(closed_ == (session_.phase() == Phase::closed), "close is the action of the last step");
    if (closed_) check_end();
    return actions;
  }

  // Two worlds with the same state have the same future.
  std::string state() const {
    static_assert(std::has_unique_object_representations_v<Session>);
    std::string bytes(reinterpret_cast<const char*>(&session_), sizeof session_);
    for (const auto& each : {held_, eof_, fin_sent_}) bytes.append(each.begin(), each.end());
    bytes.push_back(static_cast<char>(due_.has_value()));
    for (const auto& each : resting_) bytes.append(each.begin(), each.end());
    bytes.push_back(static_cast<char>(handing_over_));
    bytes.push_back(static_cast<char>(retreats_));
    return bytes;
  }

  const Session& session() const { return session_; }
  bool fin_sent(Side side) const { return fin_sent_[index(side)]; }

 private:
  static void require(bool holds, const char* rule) {
    if (!holds) throw std::logic_error(rule);
  }

  void happen() {
    if (gated() && choose_(2) == 0) return happen_at_gate();
    auto events = possible();
    if (!due_ && choose_(64) == 0) events.push_back({.kind = Kind::kill, .reason = EndReason::cut});
    if (events.empty() && gated()) return happen_at_gate();
    require(!events.empty(), "a session that is not closed waits for something");
    give(events[choose_(events.size())]);
  }

  // The armed receive from the backend goes through a gate.
  bool gated() const {
    return gated_ && session_.armed(Operation::receive, Side::backend) &&
           session_.phase() < Phase::closing;
  }
  void happen_at_gate() {
    if (const auto event = gated_->happen(choose_)) give(*event);
  }

  // How a receive can end.
  template <typename Add>
  void add_receive_ends(Side side, Add&& add) const {
    const Phase phase = session_.phase();
    for (const Kind kind : {Kind::eof, Kind::reset, Kind::receive_again}) add(kind);
    const bool open = phase == Phase::relaying || phase == Phase::draining;
    if (side == Side::backend && open && !session_.spoken() && retreats_ < 2) {
      add(Kind::turned_away);
    }
    if (phase == Phase::hello) {
      add(Kind::flight_incomplete);
      add(Kind::flight_routed);
      add(Kind::flight_refused, EndReason::no_route);
      add(Kind::flight_invalid, EndReason::malformed);
    } else if (phase == Phase::answering) {
      add(Kind::discarded);
      add(Kind::discarded_all);
    } else {
      for (int weight = 0; weight < 8; ++weight) add(Kind::received);
    }
  }

  // Every way in which an armed operation can complete now.
  std::vector<Event> completions() const {
    std::vector<Event> events;
    const Phase phase = session_.phase();
    for (const Side side : {Side::client, Side::backend}) {
      const auto add = [&](Kind kind, EndReason reason = EndReason::none) {
        events.push_back({.kind = kind, .side = side, .reason = reason});
      };
      if (session_.armed(Operation::receive, side) && (!gated() || side != Side::backend)) {
        add_receive_ends(side, add);
      }
      if (session_.armed(Operation::send, side)) {
        for (int weight = 0; weight < 8; ++weight) add(Kind::sent);
        for (const Kind kind : {Kind::blocked, Kind::send_failed}) add(kind);
        if (phase != Phase::answering) add(Kind::overcommitted);
      }
      if (session_.armed(Operation::connect, side) && phase != Phase::closing) {
        if (!session_.won()) add(Kind::connected);
        add(Kind::connect_failed);
      }
      for (const Operation operation : {Operation::receive, Operation::watch}) {
        if (phase == Phase::closing || !resting_[operation == Operation::watch][index(side)]) {
          continue;
        }
        events.push_back({.kind = Kind::cancelled, .side = side, .operation = operation});
      }
      if (handing_over_ && session_.armed(Operation::watch, side)) {
        add(Kind::hand_over_waits);
        add(Kind::handed_over);
        add(Kind::handed_back);
        add(Kind::hand_over_broken, EndReason::internal);
      } else if (session_.armed(Operation::watch, side)) {
        add(Kind::watch_ended);
        if (phase < Phase::relaying || session_.holding(side) || session_.eof(side))
          add(Kind::hung_up);
      }
    }
    // A cancelled connect that took too long ends as failed; see connect_failed above.
    if (phase != Phase::closing && phase != Phase::retreating) return events;
    for (const Operation operation :
         {Operation::receive, Operation::send, Operation::connect, Operation::watch}) {
      for (const Side side : {Side::client, Side::backend}) {
        if (!session_.armed(operation, side)) continue;
        events.push_back({.kind = Kind::cancelled, .side = side, .operation = operation});
      }
    }
    return events;
  }

  void perform(const Action& action, bool was_closing) {
    require(!closed_, "nothing is done after close");
    const std::size_t side = index(action.side);
    switch (action.kind) {
      case Action::Kind::receive:
        require(!was_closing, "nothing is started while closing");
        require(!held_[side] || session_.phase() == Phase::answering,
                "a pipe holds at most one buffer");
        require(!eof_[side] || session_.phase() == Phase::answering, "nothing comes after EOF");
        if (gated_ && action.side == Side::backend) gated_->arm();
        return;
      case Action::Kind::send:
        require(!was_closing, "nothing is started while closing");
        require(held_[side] || session_.phase() == Phase::answering, "there is something to send");
        require(!fin_sent_[index(other(action.side))], "nothing is sent behind a FIN");
        return;
      case Action::Kind::shut_down:
        require(!fin_sent_[side], "a FIN is forwarded once");
        if (session_.phase() != Phase::answering) {
          require(eof_[index(other(action.side))], "a FIN is forwarded, not made up");
          require(!held_[index(other(action.side))], "a FIN comes behind that side's bytes");
        }
        fin_sent_[side] = true;
        return;
      case Action::Kind::connect:
        require(!was_closing, "nothing is started while closing");
        [[fallthrough]];
      case Action::Kind::give_up:
      case Action::Kind::retreat:
      case Action::Kind::cancel_others:
      case Action::Kind::begin_relay:
      case Action::Kind::next_target:
        return perform_setup(action);
      case Action::Kind::rest:
        for (const Side each : {Side::client, Side::backend}) {
          resting_[0][index(each)] = session_.armed(Operation::receive, each);
          resting_[1][index(each)] = session_.armed(Operation::watch, each);
        }
        return;
      case Action::Kind::hand_over:
        require(!held_[0] && !held_[1], "nothing is held when the sockets are handed over");
        require(!session_.armed(Operation::receive, Side::client) &&
                    !session_.armed(Operation::receive, Side::backend) &&
                    !session_.armed(Operation::send, Side::client) &&
                    !session_.armed(Operation::send, Side::backend) &&
                    !session_.armed(Operation::watch, Side::backend),
                "nothing is in flight when the sockets are handed over");
        require(!eof_[0] && !eof_[1], "no side has ended when the sockets are handed over");
        handing_over_ = true;
        return;
      case Action::Kind::close:
        closed_ = true;
        return;
      case Action::Kind::cancel:
      case Action::Kind::answer:
      case Action::Kind::resolve:
      case Action::Kind::queue:
      case Action::Kind::watch:
      case Action::Kind::flush:
        return;
      case Action::Kind::reset:
        reset_[side] = true;
        return;
    }
  }

  void perform_setup(const Action& action) {
    switch (action.kind) {
      case Action::Kind::connect:
        require(!session_.won(), "nothing is started once a backend is there");
        require(++attempts_ <= limits::attempts_max, "attempts have a bound");
        return;
      case Action::Kind::give_up:
        require(attempts_ > 0, "what is given up is under way");
        return;
      case Action::Kind::retreat:
        require(!session_.anything_armed(), "nothing is in flight when a backend is left");
        require(!session_.spoken() && !fin_sent_[0] && !handed_over_, "nothing has gone on");
        held_[index(Side::client)] = false;
        eof_ = {};  // To be found again.
        fin_sent_ = {};
        ++retreats_;
        return;
      case Action::Kind::cancel_others:
        require(session_.won(), "others are cancelled when one has won");
        return;
      case Action::Kind::begin_relay:
        require(session_.won() && attempts_ == 0, "the relay begins when no attempt is left");
        held_[index(Side::client)] = true;
        return;
      case Action::Kind::next_target:
        require(!session_.won(), "nothing is looked for once a backend is there");
        due_ = {{.kind = Kind::target_ready},
                {.kind = Kind::target_named},
                {.kind = Kind::target_full},
                {.kind = Kind::target_exhausted, .reason = EndReason::unreachable}};
        return;
      default:
        return;
    }
  }

  // A completed operation needs no cancel.
  void forget_completed(const Event& event) {
    const bool cancelled = event.kind == Kind::cancelled;
    const bool received = event.kind <= Kind::discarded_all && event.kind != Kind::accepted;
    if (received || (cancelled && event.operation == Operation::receive)) {
      resting_[0][index(event.side)] = false;
    }
    if (event.kind == Kind::hung_up || event.kind == Kind::watch_ended ||
        (cancelled && event.operation == Operation::watch)) {
      resting_[1][index(event.side)] = false;
    }
    if (session_.phase() != Phase::handing) handing_over_ = false;
  }

  // Until `flushed` only the reader's own end may stop bytes received before a reset.
  void check_reset() const {
    const Side from = other(session_.reset_target());
    require(!held_[index(from)] || session_.armed(Operation::send, from),
            "what was received before a reset goes on");
  }

  void check_end() const {
    require(!session_.anything_armed() && attempts_ == 0, "nothing is in flight at the close");
    require((session_.reason() == EndReason::none) == handed_over_, "every end has a reason");
    const bool gone = session_.reason() >= EndReason::client_reset &&
                      session_.reason() <= EndReason::backend_lost;
    for (const Side side : {Side::client, Side::backend}) {
      require(gone || !held_[index(side)] || reset_[index(other(side))],
              "whoever has not got all bytes gets an RST");
    }
    if (session_.reason() != EndReason::done) return;
    require(eof_[0] && eof_[1], "done means that both sides have ended");
    require(!held_[0] && !held_[1], "done means that every byte was sent");
    require(fin_sent_[0] != fin_sent_[1], "the first FIN is forwarded, the second is the close");
  }

  Choose choose_;
  Session session_;
  std::optional<GatedBackend> gated_;
  std::array<bool, 2> held_{};
  std::array<bool, 2> eof_{};
  std::array<bool, 2> fin_sent_{};
  std::array<bool, 2> reset_{};
  // By operation (receive, watch) and side: armed when the session asked for rest.
  std::array<std::array<bool, 2>, 2> resting_{};
  std::size_t attempts_ = 0;  // Connects under way, as the actions have it.
  std::size_t retreats_ = 0;  // Bounded, so that the states are.
  bool handing_over_ = false;
  bool handed_over_ = false;
  std::optional<std::vector<Event>> due_;
  bool closed_ = false;
};

}  // namespace sni::test
