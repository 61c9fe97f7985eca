#pragma once

#include <chrono>
#include <cstdint>

namespace sni {

// CLOCK_MONOTONIC in nanoseconds, the clock of bpf_ktime_get_ns() in the programs.
inline std::uint64_t monotonic_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

inline std::uint64_t monotonic_ms() {
  return monotonic_ns() / 1'000'000;
}

}  // namespace sni
