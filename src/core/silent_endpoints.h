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

#include "core/address.h"

namespace sni {

class SilentEndpoints {
 public:
  // A connect() found nobody. Whether that is news.
  bool add(const Endpoint& endpoint, std::uint64_t now_ms);
  // A connect() found somebody.
  void remove(const Endpoint& endpoint) {
    if (!until_ms_.empty()) until_ms_.erase(endpoint);
  }
  // Whether to try others first. Who is told no has to try it and to say how that went.
  bool puts_off(const Endpoint& endpoint, std::uint64_t now_ms);

 private:
  std::map<Endpoint, std::uint64_t> until_ms_;
};

}  // namespace sni
