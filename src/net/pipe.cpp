#include "net/pipe.h"

#include <cassert>
#include <cstring>

namespace sni {

void Pipe::hold(BufferPool& pool, BufferId buffer, std::uint32_t length) {
  assert(length_ == 0);
  data_ = pool.take(buffer);
  buffer_ = buffer;
  length_ = length;
}

void Pipe::hold(std::span<const std::uint8_t> bytes) {
  assert(length_ == 0);
  data_ = bytes.data();
  length_ = static_cast<std::uint32_t>(bytes.size());
}

bool Pipe::sent(BufferPool& pool, ParkedBudget& budget, std::uint32_t count) {
  assert(count <= length_ - offset_);
  offset_ += count;
  bytes_sent_ += count;
  if (offset_ < length_) return false;
  if (!stalled_ && calm_sends_ < limits::stall_forgotten_sends) ++calm_sends_;
  release(pool, budget);
  return true;
}

bool Pipe::stall(BufferPool& pool, ParkedBudget& budget, std::uint64_t budget_max) {
  stalled_ = true;
  calm_sends_ = 0;
  if (buffer_ == no_buffer || !pool.scarce()) return true;
  const std::uint32_t left = length_ - offset_;
  if (budget.used.fetch_add(left, std::memory_order_relaxed) + left > budget_max) {
    budget.used.fetch_sub(left, std::memory_order_relaxed);
    return false;
  }
  parked_ = std::make_unique_for_overwrite<std::uint8_t[]>(left);
  std::memcpy(parked_.get(), data_ + offset_, left);
  pool.give(buffer_);
  buffer_ = no_buffer;
  data_ = parked_.get();
  offset_ = 0;
  length_ = left;
  return true;
}

void Pipe::release(BufferPool& pool, ParkedBudget& budget) {
  if (buffer_ != no_buffer) pool.give(buffer_);
  if (parked_ != nullptr) {
    budget.used.fetch_sub(length_, std::memory_order_relaxed);  // What was parked, sent or not.
    parked_.reset();
  }
  buffer_ = no_buffer;
  data_ = nullptr;
  offset_ = 0;
  length_ = 0;
  stalled_ = false;
}

}  // namespace sni
