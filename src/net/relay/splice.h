#pragma once

// Theory of operation: bulk without copies. A kernel pipe takes the pages of what has arrived on
// one socket and gives them to the other (splice(2)): userspace never touches the bytes. It costs
// two system calls and a poll a turn, so it is for directions that move a lot at a time
// (net/relay/bulk_gauge.h); on veth it carries half as much again as receive and send with large buffers.
//
// A direction borrows a pipe when bytes are there and returns it when all of them have left, so
// idle connections hold none, and a direction that finds no pipe relays by buffers as ever.
//
// The sockets are blocking ones (net/loop/ring.h) and splice() has no MSG_DONTWAIT for them. So fill()
// is called only when poll has said that there are bytes, and drain() moves no more than fits into
// the send buffer; should memory pressure still make the kernel wait, bound_splice_waits() ends the
// wait.

#include <sys/types.h>

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
void bound_splice_waits(int fd);

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

}  // namespace sni
