#pragma once

// Theory of operation: bulk without copies. A kernel pipe takes the pages of what has arrived on
// one socket and gives them to the other (splice(2)): userspace never touches the bytes. It costs
// two system calls and a poll a turn, so it is for directions that move a lot at a time
// (BulkGauge); on veth it carries half as much again as receive and send with large buffers.
//
// A direction borrows a pipe when bytes are there and returns it when all of them have left, so
// idle connections hold none, and a direction that finds no pipe relays by buffers as ever.
//
// The sockets are blocking ones (net/loop/ring.h) and splice() has no MSG_DONTWAIT for them. So fill()
// is called only when poll has said that there are bytes, and drain() moves no more than fits into
// the send buffer; should memory pressure still make the kernel wait, guard() bounds that wait.

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/limits.h"
#include "core/unique_fd.h"

namespace sni {

class Splice {
 public:
  // nullptr: no descriptors or no memory for a pipe.
  static std::unique_ptr<Splice> open();

  // Takes what has arrived on `source`, which poll has found readable. Bytes; 0: FIN or urgent
  // data; else -errno.
  ssize_t fill(int source);
  // Gives as much as fits to `target`. Bytes; -EAGAIN: less than `least` (and than all) fits; else
  // -errno.
  ssize_t drain(int target, std::uint32_t least);
  std::uint32_t held() const { return held_; }

 private:
  UniqueFd read_end_;
  UniqueFd write_end_;
  std::uint32_t held_ = 0;  // Bytes in the pipe.
};

// Waits inside splice() on this socket end after a scheduler tick.
void guard_splice(int fd);

// The pipes of one worker.
class SplicePool {
 public:
  // nullptr: all are in use, or none can be had.
  std::unique_ptr<Splice> borrow();
  // One that still holds bytes is closed: they belong to a connection that has ended.
  void give_back(std::unique_ptr<Splice> splice);

 private:
  std::vector<std::unique_ptr<Splice>> spare_;
  std::uint32_t borrowed_ = 0;
};

// Whether a direction moves enough at a time for splicing: it begins after some large receives in a
// row and ends after many small ones. And whether its receives may be patient (net/relay/patience.h).
class BulkGauge {
 public:
  // `now_ms`: of the loop.
  void moved(std::uint32_t bytes, std::uint64_t now_ms) {
    measure(bytes, static_cast<std::uint32_t>(now_ms));
    if (bytes < limits::bulk_bytes) {
      large_ = 0;
      if (bytes < limits::bulk_small_bytes && score_ > 0) --score_;
      if (score_ == 0) bulk_ = false;
      return;
    }
    if (bulk_ && large_ < needed_) {
      ++large_;
    } else if (bytes >= limits::patience_bytes && ++repaid_ == limits::patience_repaid) {
      repaid_ = 0;
      needed_ = std::max<std::uint16_t>(needed_ / 2, limits::patience_begins);
    }
    if (score_ < limits::bulk_forgotten) ++score_;
    if (!bulk_ && score_ >= limits::bulk_begins) enter();
  }
  bool bulk() const { return bulk_; }
  bool patient() const { return bulk_ && !fast_ && large_ >= needed_; }
  // No pipe could be had, or splicing stopped: try again after as many large receives as at first.
  void refuse() {
    bulk_ = false;
    score_ = 0;
    large_ = 0;
  }
  void waited_in_vain() {
    large_ = 0;
    repaid_ = 0;
    needed_ = std::min<std::uint16_t>(needed_ * 2, limits::patience_begins_max);
  }

 private:
  void measure(std::uint32_t bytes, std::uint32_t now_ms) {
    if (now_ms != counted_since_ms_) {
      const std::uint64_t passed_ms = now_ms - counted_since_ms_;
      fast_ = counted_ > passed_ms * limits::patience_bytes_per_ms;
      counted_since_ms_ = now_ms;
      counted_ = 0;
    }
    counted_ += bytes;
  }
  void enter() {
    bulk_ = true;
    score_ = limits::bulk_forgotten;
  }
  std::uint8_t score_ = 0;
  bool bulk_ = false;
  bool fast_ = false;        // More than limits::patience_bytes_per_ms came lately.
  std::uint8_t repaid_ = 0;  // Patient receives since one waited in vain, or since needed_ fell.
  std::uint16_t large_ = 0;  // Large receives in a row,
  std::uint16_t needed_ = limits::patience_begins;  // and how many make for patience.
  std::uint32_t counted_since_ms_ = 0;              // Of the loop's clock,
  std::uint32_t counted_ = 0;                       // and the bytes since then.
};

}  // namespace sni
