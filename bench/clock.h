#pragma once

// Time as the bench counts it: nanoseconds of CLOCK_MONOTONIC, comparable between the processes of
// one machine.

#include <time.h>

#include <cstdint>

namespace sni::bench {

inline constexpr std::uint64_t second_ns = 1'000'000'000;
inline constexpr std::uint64_t millisecond_ns = 1'000'000;

inline std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * second_ns +
         static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::uint64_t seconds_to_ns(double seconds) {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(second_ns));
}

}  // namespace sni::bench
