#pragma once

// Steps of a session, for tests that compare its actions.

#include <vector>

#include "core/session/session.h"

namespace sni::test {

inline std::vector<Action> step(Session& session, const Event& event) {
  const Actions actions = session.step(event);
  return {actions.begin(), actions.end()};
}

// A session whose backend has just answered and whose first flight is on its way to it.
inline Session relaying() {
  using Kind = Event::Kind;
  Session session;
  for (const Kind kind :
       {Kind::accepted, Kind::flight_routed, Kind::target_ready, Kind::connected}) {
    session.step({.kind = kind, .side = kind == Kind::connected ? Side::backend : Side::client});
  }
  return session;
}

}  // namespace sni::test
