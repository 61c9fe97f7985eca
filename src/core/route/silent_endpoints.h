#pragma once

// Addresses that did not answer a connect() lately. Connections try them after all others, so that
// a dead host costs its waiting time to the few that find out and not to everybody. When an address
// has been put off for long enough one connection tries it again, while the others still put it
// off: what is dead for good costs one of them its waiting time in each such period.
//
// At most limits::silent_endpoints_max; one more is not remembered. Time comes in as milliseconds
// of any clock that does not go back.

#include <cstdint>
#include <map>

#include "core/address/address.h"

namespace sni {

class SilentEndpoints {
 public:
  // A connect() that began at `begun_ms` found nobody. Whether that is news; it says nothing where
  // a later one was answered.
  bool add(const Endpoint& endpoint, std::uint64_t begun_ms, std::uint64_t now_ms);
  // A connect() was answered, if only by a refusal.
  void answered(const Endpoint& endpoint, std::uint64_t now_ms);
  // Whether to try others first. Who is told no is the one that tries it again.
  bool puts_off(const Endpoint& endpoint, std::uint64_t now_ms);

 private:
  struct State {
    std::uint64_t until_ms = 0;     // It is put off until then.
    std::uint64_t answered_ms = 0;  // When it last answered; 0: not since it was silent.
  };

  std::map<Endpoint, State> states_;
};

}  // namespace sni
