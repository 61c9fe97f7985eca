#pragma once

// One direction of a connection: the bytes it holds between a receive and the end of the send. A
// pipe alternates the two and holds at most one buffer, so a slow reader stops only its own writer.
// Bytes are in one of three places:
//
//   - a buffer of the pool, from the receive until all is sent;
//   - parked memory of the exact size, if the reader has stalled and the pool is scarce
//     (net/relay/parking.h);
//   - memory of another owner (the first flight, an answer), which must outlive the send.

#include <cstdint>
#include <optional>
#include <span>

#include "net/loop/buffer_pool.h"
#include "net/relay/parking.h"

namespace sni {

class Pipe {
 public:
  // Takes the received bytes over from the kernel.
  void hold(BufferPool& pool, BufferId buffer, std::uint32_t length);
  // Holds bytes of another owner.
  void hold(std::span<const std::uint8_t> bytes);
  // Holds parked bytes, whose reader has stalled already.
  void hold(Parking::Place parked);
  std::span<const std::uint8_t> held() const { return {data_ + offset_, length_ - offset_}; }

  // `count` bytes were sent. Returns whether that was all; then the memory is given back.
  bool sent(BufferPool& pool, Parking& parking, std::uint32_t count);
  // The reader of `owner` has stalled. Moves the remaining bytes out of a scarce pool; false:
  // `relay_memory` (limits.relay_memory) does not allow it.
  [[nodiscard]] bool stall(BufferPool& pool, Parking& parking, ParkedOwner owner,
                           std::uint64_t relay_memory);
  bool stalled() const { return stalled_; }
  void release(BufferPool& pool, Parking& parking);

  // Bytes to ask for in the next receive.
  std::uint32_t receive_length() const {
    return calm_sends_ < limits::stall_forgotten_sends ? limits::stalled_receive_bytes
                                                       : limits::buffer_bytes;
  }
  // Counts bytes that bypassed this pipe (net/relay/splice.h).
  void count_sent(std::uint64_t count) { bytes_sent_ += count; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  const std::uint8_t* data_ = nullptr;
  std::optional<Parking::Place> parked_;
  std::uint64_t bytes_sent_ = 0;
  std::uint32_t offset_ = 0;
  std::uint32_t length_ = 0;
  BufferId buffer_ = no_buffer;
  bool stalled_ = false;
  std::uint8_t calm_sends_ =
      limits::stall_forgotten_sends;  // Sends in a row that completed at once.
};

}  // namespace sni
