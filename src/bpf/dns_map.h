#pragma once

// The resolver's second cache level, in the map DNS_CACHE: shared by all workers, and with a pin
// directory it outlives the process, so that a restart does not begin with a question per name.
//
// The key is a hash of the name under a random key that is kept beside the map: clients choose
// names, and must not be able to choose collisions. The record holds the name and a hit is verified
// against it, so that a collision costs an answer and never routes to another name's address.
// All calls may come from any thread.

#include <cstdint>
#include <optional>
#include <string_view>

#include "bpf/sockhash.h"
#include "core/resolution.h"
#include "core/siphash.h"

namespace sni {

class DnsMap {
 public:
  static Result<DnsMap> open(const Sockhash& sockhash);

  struct Answer {
    Resolution resolution;        // Status ok.
    std::uint64_t expires_s = 0;  // CLOCK_REALTIME, whole seconds.
  };
  // What was stored for the name and has not expired.
  std::optional<Answer> find(std::string_view name, std::uint64_t now_s) const;
  // Keeps addresses until expires_s; other kinds of answers and names that are too long are not
  // stored.
  void store(std::string_view name, const Answer& answer) const;

 private:
  DnsMap(int map_fd, SipKey key) : map_fd_(map_fd), key_(key) {}

  int map_fd_;  // Owned by the Sockhash.
  SipKey key_;
};

}  // namespace sni
