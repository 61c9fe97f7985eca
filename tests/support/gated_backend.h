#pragma once

// A backend behind the gate, without a kernel: bytes pass or are redirected, the FIN arrives, and
// the backlog drains, in any order that a source of choices picks. The gate turns this into events
// of the session, and its rules are checked; a violation throws.

#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>

#include "core/session/gate.h"
#include "core/session/session.h"

namespace sni::test {

class GatedBackend {
 public:
  void arm() { expect(gate_.start(pending_ == 0)); }

  // Makes one thing happen to the armed receive; nullopt: the session gets no event.
  std::optional<Event> happen(const std::function<std::size_t(std::size_t)>& choose) {
    if (!fin_ && choose(4) == 0) ++pending_;
    if (!fin_ && choose(4) == 0) ++backlog_;
    if (backlog_ > 0 && choose(2) == 0) --backlog_;
    if (choose(16) == 0) fin_ = true;
    if (pending_ > 0 && choose(64) == 0) torn_ = true;
    const auto outcome = pick(choose);
    const bool read = outcome == Gate::Outcome::bytes;
    if (read) --pending_;
    const Gate::Step step = gate_.on(
        outcome, {.pending = pending_ > 0, .torn = torn_ && !read, .drained = backlog_ == 0});
    return told(step, outcome);
  }

 private:
  using Kind = Event::Kind;

  static void require(bool holds, const char* rule) {
    if (!holds) throw std::logic_error(rule);
  }

  // How the armed operation can complete now.
  Gate::Outcome pick(const std::function<std::size_t(std::size_t)>& choose) const {
    if (choose(16) == 0) return Gate::Outcome::woken;
    switch (gate_.armed()) {
      case Gate::Armed::sleep:
        return fin_ ? Gate::Outcome::hung_up : Gate::Outcome::woken;
      case Gate::Armed::bytes:
        if (pending_ > 0 && choose(4) != 0) return Gate::Outcome::bytes;
        return fin_ && pending_ == 0 ? Gate::Outcome::fin : Gate::Outcome::nothing;
      case Gate::Armed::pause:
      case Gate::Armed::end:
        return Gate::Outcome::time;
    }
    return Gate::Outcome::failed;
  }

  std::optional<Event> told(Gate::Step step, Gate::Outcome outcome) {
    switch (step) {
      case Gate::Step::again:
        return Event{.kind = Kind::receive_again, .side = Side::backend};
      case Gate::Step::eof:
        require(fin_ && pending_ == 0 && backlog_ == 0, "the end comes behind every byte");
        return Event{.kind = Kind::eof, .side = Side::backend};
      case Gate::Step::reset:
        require(torn_, "only lost bytes reset a pair");
        return Event{.kind = Kind::reset, .side = Side::backend};
      case Gate::Step::deliver:
        require(outcome == Gate::Outcome::bytes, "a receive delivers bytes");
        return Event{.kind = Kind::received, .side = Side::backend};
      default:
        expect(step);
        return std::nullopt;
    }
  }

  void expect(Gate::Step step) const {
    const auto armed = gate_.armed();
    require(step != Gate::Step::arm_sleep || armed == Gate::Armed::sleep, "it sleeps as it says");
    require(step != Gate::Step::arm_receive || armed == Gate::Armed::bytes, "it reads as it says");
    require(
        step != Gate::Step::arm_pause || armed == Gate::Armed::pause || armed == Gate::Armed::end,
        "it waits as it says");
  }

  Gate gate_;
  unsigned pending_ = 0;  // Passed but not read.
  unsigned backlog_ = 0;  // Redirected but not in the send queue.
  bool fin_ = false;
  bool torn_ = false;
};

}  // namespace sni::test
