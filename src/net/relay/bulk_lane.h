#pragma once

// One direction of a relay in bulk transfer: splice(2) through a borrowed pipe
// (net/relay/splice.h), with a raised low-water mark where that pays (net/relay/low_water.h). The
// session sees the same receives and sends as always; only their implementation differs.

#include <cstdint>
#include <memory>
#include <optional>

#include "core/session/session.h"
#include "net/loop/loop.h"
#include "net/loop/sockets.h"
#include "net/relay/bulk_gauge.h"
#include "net/relay/pipe.h"
#include "net/relay/splice.h"

namespace sni {

class BulkLane : private StalledSplice {
 public:
  // `side`: the one it reads from.
  explicit BulkLane(Side side) : side_(side) {}

  // Reports the bytes of a receive, buffered or spliced.
  void measure(std::uint32_t bytes, std::uint64_t now_ms) { gauge_.moved(bytes, now_ms); }

  // Arms a poll instead of the receive if the direction is bulk. False: receive into a buffer.
  // `allowed`: splice() sees all bytes that arrive.
  bool start_receive(Loop& loop, const Sockets& sockets, bool allowed);
  bool armed() const { return armed_; }
  // `pipe`: where the bytes go if the pipe borrowed now is evicted later.
  Event on_readable(Loop& loop, const Sockets& sockets, Pipe& pipe, std::uint64_t relay_memory,
                    const Completion& completion);

  bool holds_bytes() const { return splice_ != nullptr; }
  // The reader had no room for all that was spliced.
  bool stalled() const { return stalled_; }
  // Sends at once what there is room for.
  Event send(Loop& loop, const Sockets& sockets, Pipe& pipe);

  // LowWaterQueue::expire() calls it.
  std::optional<std::uint64_t> on_low_water_due(const Loop& loop, const Sockets& sockets);

  void release(Loop& loop);

 private:
  std::unique_ptr<Splice> borrow(Loop& loop, std::uint64_t relay_memory);
  bool evict(Loop& loop, std::uint64_t relay_memory);
  void raise_mark(const Sockets& sockets, bool raised);

  Side side_;
  bool armed_ = false;  // The receive in flight is our poll.
  bool stalled_ = false;
  bool waits_bounded_ = false;  // bound_splice_waits() was called for both sockets.
  bool raised_ = false;         // The low-water mark is raised,
  bool queued_ = false;         // and the lane is in the queue.
  std::uint64_t since_ms_ = 0;  // When the latest receive under it was armed.
  BulkGauge gauge_;
  std::unique_ptr<Splice> splice_;  // Borrowed while it holds bytes,
  Pipe* pipe_ = nullptr;            // in place of this one,
  ParkedOwner owner_;               // of this connection.
};

}  // namespace sni
