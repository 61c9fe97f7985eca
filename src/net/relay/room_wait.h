#pragma once

// Theory of operation: the wait until a slow reader has room for more bytes. Usually that is a poll
// for POLLOUT. But io_uring also reports a FIN of the reader, unasked, each time and at once
// (IO_POLL_UNMASK), so such a poll would be repeated without end, and a send that waits by itself
// would occupy one of few kernel threads (APOLL_MAX_RETRY of io_uring/poll.c), until no other
// half-closed reader got any bytes. Therefore a reader that has sent its FIN is tried again after
// pauses, which double while nothing moves.

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <utility>

#include "net/loop/ring.h"

namespace sni {

class RoomWait {
 public:
  // `sent`: bytes sent to this reader so far.
  void start(Ring& ring, int fd, std::uint64_t sent, OpTag tag) {
    waits_ = true;
    const bool moved = std::exchange(sent_, sent) != sent;
    pause_ = moved ? Ring::pause_min : std::min(2 * pause_, Ring::pause_max);
    if (in_vain_) return ring.pause(tag, pause_);
    ring.poll(fd, POLLOUT, tag);
  }

  // Whether a completion of this send was that of the wait. Its result is not a number of bytes.
  bool take(std::int32_t result) {
    if (!std::exchange(waits_, false)) return false;
    // Or the poll got no memory (-ENOMEM).
    in_vain_ = in_vain_ || (result & POLLOUT) == 0 || result < 0;
    return true;
  }

 private:
  bool waits_ = false;
  bool in_vain_ = false;  // A poll ends at once, whether there is room or not.
  std::chrono::microseconds pause_ = Ring::pause_min;
  std::uint64_t sent_ = 0;
};

}  // namespace sni
