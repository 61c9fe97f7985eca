#pragma once

// Theory of operation: bulk without copies. A kernel pipe takes the pages of what has arrived on
// one socket and gives them to the other (splice(2)): userspace never touches the bytes. It costs
// two system calls and a poll per turn, so it is for directions that move large pieces
// (net/relay/bulk_gauge.h); on veth it moves half as much again as receive and send with large
// buffers.
//
// A direction borrows a pipe when bytes have arrived and returns it when all of them have left, so
// idle connections hold none. A direction that finds no pipe relays by buffers as usual. The
// capacity of borrowed pipes counts towards limits.relay_memory (net/relay/relay_budget.h). Stalled
// readers would hold all pipes in the end. So if none is left, the pipe whose reader has stalled
// for longest is emptied into parked memory (net/relay/parking.h), and its connection continues
// from there.
//
// The sockets are in blocking mode (net/loop/ring.h) and splice() has no MSG_DONTWAIT for them. So
// fill() is called only after poll has reported bytes, and drain() moves no more than fits into the
// send buffer. If the kernel still waits under memory pressure, bound_splice_waits() limits the
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
// A pipe whose reader accepts nothing for this long may be evicted: by then the copy of a megabyte
// has paid off many times.
inline constexpr std::uint64_t splice_stalled_ms = 250;
// If limits.relay_memory is small, pipes get smaller so that this many fit.
inline constexpr std::uint64_t pipes_least = 4;

class Splice {
 public:
  // A pipe of at most `bytes_max` (a power of two). nullptr: no descriptors, or no memory for
  // splice_bytes_min.
  static std::unique_ptr<Splice> open(std::uint32_t bytes_max = limits::splice_bytes);

  // Takes what has arrived on `source`, which poll has reported readable. Returns bytes; 0: FIN or
  // urgent data; else -errno.
  ssize_t fill(int source);
  // Gives as much as fits to `target`. Returns bytes; -EAGAIN: less than `least` (and less than
  // all) fits; else -errno.
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

// Bounds waits inside splice() on this socket to a scheduler tick.
void bound_splice_waits(int fd);

// The holder of a pipe whose reader has stalled. A link of a SplicePool's list.
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

  // nullptr: all are in use, their share of `relay_memory` is used up, or none can be opened.
  std::unique_ptr<Splice> borrow(std::uint64_t relay_memory);
  // A pipe that still holds bytes is closed: they belong to a connection that has ended.
  void give_back(std::unique_ptr<Splice> splice);
  // Whether all pipes so far have had limits::splice_bytes.
  bool full_size() const { return full_size_; }

  // The holder's reader has stalled, or reads again. `holder` must not move.
  void stalled(StalledSplice& holder, std::uint64_t now_ms);
  void moved(StalledSplice& holder);
  // The holder whose reader has stalled for longest, and for at least splice_stalled_ms; or
  // nullptr.
  StalledSplice* longest_stalled(std::uint64_t now_ms) const;
  // True once: only the first eviction is logged.
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
