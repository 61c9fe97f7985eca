// The transition table of core/session/session.h, kept in session_table.txt: for each phase and
// each event that can occur in it, the next phase and the actions, over every reachable state. A
// change of the session shows there line by line for review; the test says how to write the file
// again.

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/session_world.h"

using namespace sni;
using namespace sni::test;

namespace {

using Kind = Event::Kind;

constexpr const char* table_file = SNI_SOURCE_DIR "/tests/core/session/session_table.txt";

const char* name_of(Kind kind) {
  static constexpr const char* names[] = {"accepted",
                                          "flight_incomplete",
                                          "flight_routed",
                                          "flight_refused",
                                          "flight_invalid",
                                          "received",
                                          "eof",
                                          "reset",
                                          "turned_away",
                                          "receive_again",
                                          "discarded",
                                          "discarded_all",
                                          "sent",
                                          "blocked",
                                          "send_failed",
                                          "overcommitted",
                                          "connected",
                                          "connect_failed",
                                          "hung_up",
                                          "watch_ended",
                                          "hand_over_waits",
                                          "handed_over",
                                          "handed_back",
                                          "hand_over_broken",
                                          "cancelled",
                                          "target_ready",
                                          "target_named",
                                          "target_full",
                                          "target_exhausted",
                                          "resolved",
                                          "unresolved",
                                          "place_found",
                                          "place_refused",
                                          "flushed",
                                          "flight_late",
                                          "set_up_slowly",
                                          "attempt_due",
                                          "attempt_over",
                                          "half_closed",
                                          "wanted",
                                          "deadline",
                                          "kill"};
  static_assert(std::size(names) == static_cast<std::size_t>(Kind::kill) + 1);
  return names[static_cast<std::size_t>(kind)];
}

std::string text(const Action& action, Side about) {
  static constexpr const char* names[] = {
      "receive", "send",          "answer",    "next_target", "resolve", "queue",     "connect",
      "give_up", "cancel_others", "retreat",   "begin_relay", "watch",   "shut_down", "flush",
      "cancel",  "rest",          "hand_over", "reset",       "close"};
  static_assert(std::size(names) == static_cast<std::size_t>(Action::Kind::close) + 1);
  const std::string name = names[static_cast<std::size_t>(action.kind)];
  switch (action.kind) {
    case Action::Kind::receive:
    case Action::Kind::send:
    case Action::Kind::watch:
    case Action::Kind::shut_down:
    case Action::Kind::flush:
    case Action::Kind::reset:
      return name + (action.side == about ? "" : "(other)");
    default:
      return name;
  }
}

// "phase  event  ->  phase: actions". Sides are named as the event's own and the other.
class Table {
 public:
  void note(const Session& before, const Event& event, const Actions& actions,
            const Session& after) {
    std::string outcome = to_string(after.phase());
    if (after.reason() != before.reason()) outcome += std::string(" ") + to_string(after.reason());
    outcome += ":";
    for (const Action& action : actions) outcome += " " + text(action, event.side);
    if (actions.size() == 0) outcome += " -";
    rows_[{before.phase(), event.kind}].insert(outcome);
  }

  std::string print() const {
    std::ostringstream out;
    out << "Session: phase, event, what can follow (see test_session_table.cpp).\n"
           "Sides are those of the event unless \"(other)\"; a reason stands where it is set.\n";
    Phase last = Phase::closed;
    for (const auto& [row, outcomes] : rows_) {
      if (row.first != last) out << "\n" << to_string(row.first) << "\n";
      last = row.first;
      std::string label = "  " + std::string(name_of(row.second));
      for (const std::string& outcome : outcomes) {
        label.resize(20, ' ');
        out << label << outcome << "\n";
        label.clear();
      }
    }
    return out.str();
  }

 private:
  std::map<std::pair<Phase, Kind>, std::set<std::string>> rows_;
};

// Walks through every reachable state.
Table walk() {
  Table table;
  std::vector<SessionWorld> open{SessionWorld([](std::size_t) { return 0; })};
  table.note({}, {.kind = Kind::accepted}, Session{}.step({.kind = Kind::accepted}),
             open.back().session());
  std::set<std::string> seen{open.back().state()};
  while (!open.empty()) {
    const SessionWorld world = std::move(open.back());
    open.pop_back();
    auto events = world.possible();
    events.push_back({.kind = Kind::kill, .reason = EndReason::cut});
    for (const Event& event : events) {
      SessionWorld next = world;
      const Actions actions = next.give(event);
      table.note(world.session(), event, actions, next.session());
      if (next.session().phase() == Phase::closed || !seen.insert(next.state()).second) continue;
      open.push_back(std::move(next));
    }
  }
  return table;
}

std::string contents(const char* path) {
  std::ifstream file(path);
  std::ostringstream all;
  all << file.rdbuf();
  return all.str();
}

}  // namespace

TEST_CASE("the session's transitions are those of session_table.txt") {
  const Table table = walk();
  const std::string found = table.print();
  if (std::getenv("SNI_WRITE_TABLES") != nullptr) std::ofstream(table_file) << found;
  std::istringstream kept(contents(table_file));
  std::istringstream now(found);
  std::string kept_line;
  std::string now_line;
  while (std::getline(now, now_line)) {
    kept_line.clear();
    std::getline(kept, kept_line);
    REQUIRE_MESSAGE(now_line == kept_line,
                    "run with SNI_WRITE_TABLES=1 to write the table anew, and review its diff");
  }
  CHECK_FALSE(std::getline(kept, kept_line));
}
