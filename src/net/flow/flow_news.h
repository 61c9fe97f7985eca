#pragma once

// Connections that begin and end, for clients that follow them on the control socket. Theory of
// operation: while nobody follows, a worker only reads one number. Otherwise it collects the events
// of a turn of its loop and hands them over at the end of the turn; the main thread takes all of
// them at once. If the main thread falls too far behind, events are counted and dropped.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "core/session/flow_record.h"
#include "core/unique_fd.h"

namespace sni {

struct FlowEvent {
  FlowRecord record;
  FlowEnd end;  // Set at the end; reason none: it has just reached its backend.
  std::uint64_t at_ms = 0;
};

class FlowNews {
 public:
  // Events that wait for the main thread, about 0.5 KiB each.
  static constexpr std::size_t waiting_max = 8192;

  FlowNews();

  // Thread-safe.
  bool wanted() const { return followers_.load(std::memory_order_relaxed) != 0; }
  void hand_over(std::vector<FlowEvent>& events);  // Empties it.

  // For the main thread.
  void set_followers(std::size_t count);
  struct Taken {
    std::vector<FlowEvent> events;
    std::uint64_t missed = 0;
  };
  Taken take();
  // Readable when there are events to take; -1 if the kernel had no descriptor for it.
  int fd() const { return wake_.get(); }

 private:
  std::atomic<std::size_t> followers_{0};
  UniqueFd wake_;
  std::mutex mutex_;
  Taken waiting_;
};

}  // namespace sni
