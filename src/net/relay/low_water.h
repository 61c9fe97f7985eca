#pragma once

// Theory of operation: at a few Gbit/s most of the cost of bulk transfer is waking the threads that
// forward it piece by piece. So a bulk direction moves larger pieces: its socket's low-water mark
// is raised, and a receive waits until limits::low_water_bytes have arrived (SO_RCVLOWAT; the
// kernel wakes it earlier at FIN, reset and a full window). Fewer bytes must not wait for long:
// after at most two milliseconds the mark goes back to one byte, which also wakes the armed poll if
// any bytes are there (tcp_set_rcvlowat). Nothing is cancelled and armed again, so no event can be
// lost in between.
//
// This is the queue of receives that wait under a raised mark, in order of time.

#include <cstdint>
#include <deque>
#include <optional>

#include "core/session/session.h"

namespace sni {

// A direction of a connection whose low-water mark is raised.
struct LowWaterEntry {
  std::uint32_t slot = 0;
  std::uint16_t generation = 0;
  Side side = Side::client;
};

class LowWaterQueue {
 public:
  // Two clock ticks: a wait of less than one may begin and end in different ones.
  static constexpr std::uint64_t wait_ms = 2;

  // Calls on_due for `entry` when wait_ms have passed since `since_ms`, which is now or a result of
  // on_due.
  void add(LowWaterEntry entry, std::uint64_t since_ms) {
    queue_.push_back({.entry = entry, .due_ms = since_ms + wait_ms});
  }

  // When expire() is worth calling next.
  std::optional<std::uint64_t> next_ms() const {
    return queue_.empty() ? std::nullopt : std::optional(queue_.front().due_ms);
  }

  // Calls on_due(entry) for all that are due. If on_due returns the time since which the receive
  // waits, it is called again later; nullopt: the receive no longer waits.
  template <typename OnDue>
  void expire(std::uint64_t now_ms, OnDue&& on_due) {
    while (!queue_.empty() && queue_.front().due_ms <= now_ms) {
      const LowWaterEntry entry = queue_.front().entry;
      queue_.pop_front();
      if (const auto since_ms = on_due(entry)) add(entry, *since_ms);
    }
  }

 private:
  struct Waiting {
    LowWaterEntry entry;
    std::uint64_t due_ms;
  };
  std::deque<Waiting> queue_;
};

}  // namespace sni
