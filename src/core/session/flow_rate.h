#pragma once

// The rate at which a connection moves bytes, computed only on request. It is the mean since the
// last request. If that was long ago, or there was none, it is the mean over the connection's life.

#include <cstdint>

namespace sni {

class FlowRate {
 public:
  // Bytes per second. `bytes`: since `started_ms`; both times are of the same clock.
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
  // Requests closer together than this get the same result.
  static constexpr std::uint64_t shortest_ms = 500;
  static constexpr std::uint64_t longest_ms = 15'000;

  static std::uint64_t per_second(std::uint64_t bytes, std::uint64_t span_ms) {
    return span_ms == 0 ? 0 : bytes * 1000 / span_ms;
  }

  std::uint64_t at_ms_ = 0;  // Of the last request; 0: there was none.
  std::uint64_t bytes_ = 0;
  std::uint64_t per_s_ = 0;
};

}  // namespace sni
