#pragma once

// Lets a bounded number of lines a second into the log and counts the others, so that a flood of
// refusals costs counters, not disk. Per worker, not thread-safe.

#include <cstdint>

namespace sni {

class LogGate {
 public:
  explicit LogGate(std::uint32_t lines_per_second) : lines_max_(lines_per_second) {}

  // May a line go out now? When a new second begins, take_suppressed() tells what the last one hid.
  bool admit(std::uint64_t now_ms) {
    if (now_ms / 1000 != second_) {
      second_ = now_ms / 1000;
      lines_ = 0;
    }
    if (lines_ < lines_max_) {
      ++lines_;
      return true;
    }
    ++suppressed_;
    return false;
  }

  // Lines held back since the last call, once the second they fell into is over; else 0.
  std::uint64_t take_suppressed(std::uint64_t now_ms) {
    if (suppressed_ == 0 || now_ms / 1000 == second_) return 0;
    const std::uint64_t count = suppressed_;
    suppressed_ = 0;
    return count;
  }

 private:
  std::uint32_t lines_max_;
  std::uint32_t lines_ = 0;
  std::uint64_t second_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace sni
