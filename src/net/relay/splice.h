#pragma once

// Theory of operation: bulk without copies. A kernel pipe takes the pages of what has arrived on
// one socket and gives them to the other (splice(2)): userspace never touches the bytes. It costs
// two system calls and a poll a turn, so it is for directions that move a lot at a time
// (net/relay/bulk_gauge.h); on veth it carries half as much again as receive and send with large buffers.
//
// A direction borrows a pipe when bytes are there and returns it when all of them have left, so
// idle connections hold none, and a direction that finds no pipe relays by buffers as ever. What the
// pipes can hold counts to limits.relay_memory (net/relay/relay_budget.h). Readers that stall would
// keep all pipes in time: where none is left, the one whose reader has taken nothing for longest is
// emptied into parked memory (net/relay/parking.h), and its connection goes on from there.
//
// The sockets are blocking ones (net/loop/ring.h) and splice() has no MSG_DONTWAIT for them. So fill()
// is called only when poll has said that there are bytes, and drain() moves no more than fits into
// the send buffer; should memory pressure still make the kernel wait, bound_splice_waits() ends the
// wait.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/limits.h"
#include "core/unique_fd.h"
#include "net/relay/relay_budget.h"

namespace sni {

// A smaller pipe is not worth its two calls.
inline constexpr std::uint32_t splice_bytes_min = 64 * 1024;
// A pipe whose reader takes nothing for so long may be emptied for others: the copy of a megabyte is
// repaid many times by then.
inline constexpr std::uint64_t splice_stalled_ms = 250;
// Where limits.relay_memory is small, its pipes are: so many must find room.
inline constexpr std::uint64_t pipes_least = 4;

class Splice {
 public:
  // A pipe of at most `bytes_max` (a power of two). nullptr: no descriptors or no memory for one that
  // is worth it (splice_bytes_min).
  static std::unique_ptr<Splice> open(std::uint32_t bytes_max = limits::splice_bytes);

  // Takes what has arrived on `source`, which poll has found readable. Bytes; 0: FIN or urgent
  // data; else -errno.
  ssize_t fill(int source);
  // Gives as much as fits to `target`. Bytes; -EAGAIN: less than `least` (and than all) fits; else
  // -errno.
  ssize_t drain(int target, std::uint32_t least);
  std::uint32_t held() const { return held_; }
  // Moves all that is held into `bytes`, which has that size.
  void take_all(std::span<std::uint8_t> bytes);
  // Bytes that fit.
  std::uint32_t capacity() const { return capacity_; }

 private:
  UniqueFd read_end_;
  UniqueFd write_end_;
  std::uint32_t held_ = 0;  // Bytes in the pipe.
  std::uint32_t capacity_ = 0;
};

// Waits inside splice() on this socket end after a scheduler tick.
void bound_splice_waits(int fd);

// Whoever holds a pipe whose reader takes nothing. A link of a SplicePool's list.
class StalledSplice {
 public:
  StalledSplice() = default;
  StalledSplice(const StalledSplice&) = delete;
  StalledSplice& operator=(const StalledSplice&) = delete;

 private:
  friend class SplicePool;
  StalledSplice* before_ = nullptr;
  StalledSplice* after_ = nullptr;
  std::uint64_t since_ms_ = 0;
  bool listed_ = false;
};

// The pipes of one worker.
class SplicePool {
 public:
  explicit SplicePool(RelayBudget& budget, std::uint32_t pipes_max = limits::splices_max)
      : budget_(budget), pipes_max_(pipes_max) {}

  // nullptr: all are in use, their share of `relay_memory` is, or none can be had.
  std::unique_ptr<Splice> borrow(std::uint64_t relay_memory);
  // One that still holds bytes is closed: they belong to a connection that has ended.
  void give_back(std::unique_ptr<Splice> splice);
  // All pipes so far have had limits::splice_bytes.
  bool full_size() const { return full_size_; }

  // Its reader takes nothing just now, or takes something again. `holder` stays where it is.
  void stalled(StalledSplice& holder, std::uint64_t now_ms);
  void moved(StalledSplice& holder);
  // Whose reader has taken nothing for longest, and for splice_stalled_ms at least; or
  // nullptr.
  StalledSplice* longest_stalled(std::uint64_t now_ms) const;
  // True once: the first of its kind is told to the log.
  bool tell_eviction() { return !std::exchange(eviction_told_, true); }

 private:
  std::unique_ptr<Splice> open(std::uint64_t share);

  RelayBudget& budget_;
  std::vector<std::unique_ptr<Splice>> spare_;
  std::uint32_t pipes_max_;
  std::uint32_t borrowed_ = 0;
  StalledSplice* first_ = nullptr;  // The longest stalled.
  StalledSplice* last_ = nullptr;
  bool full_size_ = true;
  bool eviction_told_ = false;
};

}  // namespace sni
