#pragma once

// Theory of operation: the kernel takes a receive buffer only when bytes have arrived, so that an
// idle connection holds none. Of the pool's `buffer_count` buffers a small part is published in the
// io_uring buffer ring and the rest is on a stack: the buffer used last is published next, while it
// is still in the CPU's cache. A ring with all buffers would cycle through all of them.
//
// A receive that finds the ring empty ends with -ENOBUFS and is armed again after the turn. A pipe
// whose reader stalls may keep its buffer only while less than half of the pool is in use
// (scarce()). Otherwise it moves its bytes elsewhere, so that stalled readers never starve the
// others.

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/limits.h"
#include "net/loop/ring.h"

namespace sni {

using BufferId = std::uint16_t;
inline constexpr BufferId no_buffer = 0xffff;

class BufferPool {
 public:
  static constexpr std::uint16_t group = 1;

  // Registers the buffers with the ring, which must outlive the pool.
  static Result<std::unique_ptr<BufferPool>> create(Ring& ring);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // The buffer that a completion names; it belongs to the caller until give().
  std::uint8_t* take(BufferId id);
  void give(BufferId id);
  // Half of the buffers or more are in use.
  bool scarce() const { return spare_.size() + published_ <= limits::buffer_count / 2; }

 private:
  explicit BufferPool(Ring& ring) : ring_(ring) {}
  void publish();

  Ring& ring_;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  std::uint8_t* memory_ = nullptr;
  std::vector<BufferId> spare_;
  std::uint32_t published_ = 0;
};

}  // namespace sni
