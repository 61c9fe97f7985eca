#pragma once

// How fast a connection moves bytes, reckoned when somebody looks: nothing is measured while nobody
// does. Between two looks it is the mean of that time; where the last look is long ago, or was
// never, the mean of the connection's life.

#include <cstdint>

namespace sni {

class FlowRate {
 public:
  // Bytes per second. `bytes`: since `started_ms`; both times of one clock.
  std::uint64_t look(std::uint64_t bytes, std::uint64_t started_ms, std::uint64_t now_ms) {
    const std::uint64_t span_ms = now_ms - at_ms_;
    if (at_ms_ != 0 && span_ms < shortest_ms) return per_s_;
    const bool fresh = at_ms_ != 0 && span_ms <= longest_ms && bytes >= bytes_;
    per_s_ = fresh ? per_second(bytes - bytes_, span_ms) : per_second(bytes, now_ms - started_ms);
    at_ms_ = now_ms;
    bytes_ = bytes;
    return per_s_;
  }

 private:
  // Several who look at once see the same.
  static constexpr std::uint64_t shortest_ms = 500;
  static constexpr std::uint64_t longest_ms = 15'000;

  static std::uint64_t per_second(std::uint64_t bytes, std::uint64_t span_ms) {
    return span_ms == 0 ? 0 : bytes * 1000 / span_ms;
  }

  std::uint64_t at_ms_ = 0;  // Of the last look; 0: there was none.
  std::uint64_t bytes_ = 0;
  std::uint64_t per_s_ = 0;
};

}  // namespace sni
