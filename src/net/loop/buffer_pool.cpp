#include "net/loop/buffer_pool.h"

#include <sys/mman.h>

#include <cassert>
#include <cerrno>

namespace sni {

namespace {

constexpr std::size_t ring_bytes = limits::buffers_published * sizeof(io_uring_buf);
constexpr std::size_t pool_bytes = limits::buffer_count * limits::buffer_bytes;
constexpr int ring_mask = limits::buffers_published - 1;

// Untouched pages cost nothing, so the pool's size is address space until buffers are used.
void* map_memory(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

Result<std::unique_ptr<BufferPool>> BufferPool::create(Ring& ring) {
  std::unique_ptr<BufferPool> pool(new BufferPool(ring));
  pool->buffer_ring_ = static_cast<io_uring_buf_ring*>(map_memory(ring_bytes));
  pool->memory_ = static_cast<std::uint8_t*>(map_memory(pool_bytes));
  if (pool->buffer_ring_ == nullptr || pool->memory_ == nullptr) {
    return fail_sys("cannot map the relay buffers", errno);
  }
  io_uring_buf_ring_init(pool->buffer_ring_);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(pool->buffer_ring_);
  registration.ring_entries = limits::buffers_published;
  registration.bgid = group;
  const int result = io_uring_register_buf_ring(ring.native(), &registration, 0);
  if (result < 0) {
    return fail_sys(
        "cannot register the relay buffers with io_uring (Linux 5.19 or newer is needed)", -result);
  }
  pool->spare_.reserve(limits::buffer_count);
  for (std::uint32_t id = limits::buffer_count; id-- > 0;) {
    pool->spare_.push_back(static_cast<BufferId>(id));
  }
  pool->publish();
  return pool;
}

BufferPool::~BufferPool() {
  if (buffer_ring_ != nullptr) {
    io_uring_unregister_buf_ring(ring_.native(), group);
    munmap(buffer_ring_, ring_bytes);
  }
  if (memory_ != nullptr) munmap(memory_, pool_bytes);
}

std::uint8_t* BufferPool::take(BufferId id) {
  assert(id < limits::buffer_count);
  --published_;
  publish();
  return memory_ + std::size_t{id} * limits::buffer_bytes;
}

void BufferPool::give(BufferId id) {
  spare_.push_back(id);
  publish();
}

void BufferPool::publish() {
  int added = 0;
  while (published_ < limits::buffers_published && !spare_.empty()) {
    const BufferId id = spare_.back();
    spare_.pop_back();
    io_uring_buf_ring_add(buffer_ring_, memory_ + std::size_t{id} * limits::buffer_bytes,
                          limits::buffer_bytes, id, ring_mask, added++);
    ++published_;
  }
  if (added > 0) io_uring_buf_ring_advance(buffer_ring_, added);
}

}  // namespace sni
