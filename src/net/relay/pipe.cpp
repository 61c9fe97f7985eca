#include "net/relay/pipe.h"

#include <cassert>

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

void Pipe::hold(Parking::Place parked) {
  assert(length_ == 0);
  parked_ = parked;
  data_ = parked->data.get();
  length_ = parked->length;
  stalled_ = true;
  calm_sends_ = 0;
}

bool Pipe::sent(BufferPool& pool, Parking& parking, std::uint32_t count) {
  assert(count <= length_ - offset_);
  offset_ += count;
  bytes_sent_ += count;
  if (offset_ < length_) return false;
  if (!stalled_ && calm_sends_ < limits::stall_forgotten_sends) ++calm_sends_;
  release(pool, parking);
  return true;
}

bool Pipe::stall(BufferPool& pool, Parking& parking, ParkedOwner owner,
                 std::uint64_t relay_memory) {
  stalled_ = true;
  calm_sends_ = 0;
  if (buffer_ == no_buffer || !pool.scarce()) return true;
  parked_ = parking.park(owner, held(), relay_memory);
  if (!parked_) return false;
  pool.give(buffer_);
  buffer_ = no_buffer;
  data_ = (*parked_)->data.get();
  offset_ = 0;
  length_ = (*parked_)->length;
  return true;
}

void Pipe::release(BufferPool& pool, Parking& parking) {
  if (buffer_ != no_buffer) pool.give(buffer_);
  if (parked_) parking.leave(*parked_);
  parked_.reset();
  buffer_ = no_buffer;
  data_ = nullptr;
  offset_ = 0;
  length_ = 0;
  stalled_ = false;
}

}  // namespace sni
