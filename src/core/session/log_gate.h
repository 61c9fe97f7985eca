#pragma once

// Lets a bounded number of lines a second into the log and counts the others, so that a flood of
// refusals costs counters, not disk space. Per worker, not thread-safe.

#include <cstdint>
#include <utility>

namespace sni {

class LogGate {
 public:
  // When there will be suppressed lines to report if nothing else happens; UINT64_MAX: never.
  std::uint64_t next_ms() const { return suppressed_ == 0 ? UINT64_MAX : (second_ + 1) * 1000; }

  explicit LogGate(std::uint32_t lines_per_second) : lines_max_(lines_per_second) {}

  // Whether a line may go out now.
  bool admit(std::uint64_t now_ms) {
    enter_second(now_ms);
    if (lines_ < lines_max_) {
      ++lines_;
      return true;
    }
    ++suppressed_;
    return false;
  }

  // Lines suppressed in past seconds and not reported before.
  std::uint64_t take_suppressed(std::uint64_t now_ms) {
    enter_second(now_ms);
    return std::exchange(untold_, 0);
  }

 private:
  void enter_second(std::uint64_t now_ms) {
    if (now_ms / 1000 == second_) return;
    second_ = now_ms / 1000;
    lines_ = 0;
    untold_ += std::exchange(suppressed_, 0);
  }

  std::uint32_t lines_max_;
  std::uint32_t lines_ = 0;
  std::uint64_t second_ = 0;
  std::uint64_t suppressed_ = 0;  // In this second.
  std::uint64_t untold_ = 0;      // In earlier seconds.
};

}  // namespace sni
