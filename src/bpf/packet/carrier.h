#pragma once

// One of the proxy's sockets during the transition of a hand-over (handover.h): what it received from
// its end goes to the other carrier, which delivers it to the other end.

#include <chrono>
#include <cstdint>
#include <vector>

#include "bpf/packet/packet_splice.h"
#include "core/error.h"

namespace sni {

// Modular comparison of sequence numbers.
inline bool is_before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

class Carrier {
 public:
  using Clock = std::chrono::steady_clock;

  // `plane` outlives it, and `fd`, which is non-blocking, stays the caller's.
  Carrier(PacketSplice& plane, std::uint64_t flow, int fd, const packet_key& key)
      : plane_(&plane), flow_(flow), fd_(fd), key_(key) {}

  int fd() const { return fd_; }
  const packet_key& key() const { return key_; }

  // The programs begin to forward: `written`, `read` and `received` are the sequence numbers after the
  // last byte that the socket sent, that was read from it, and that it has.
  void begin(std::uint32_t written, std::uint32_t read, std::uint32_t received);
  // The right edge of the window that the socket may have offered by the end of the next recv() when
  // all before `read` has been read.
  std::uint32_t room_behind(std::uint32_t read) const;

  // Publishes bytes, or a FIN, that reached the socket as the programs began and may still be unread.
  Result<void> publish_received();
  // Carries what this socket has received to the other end. true: bytes moved, or are waiting.
  Result<bool> drain(Carrier& to);
  // Everything that the socket received has been read, and the end has all that we owe it.
  bool is_done() const;
  // Whether the end owes us an acknowledgement and has made no progress for `limit`.
  bool is_stalled(Clock::time_point now, std::chrono::milliseconds limit);
  // After the transition: asks the end for an acknowledgement if the other end was not shown its
  // newest one.
  void release_ack(const Carrier& other) const;

 private:
  Result<bool> receive(Carrier& to);
  Result<bool> send();
  Result<void> pass_fin(Carrier& to);
  bool has_all() const;

  PacketSplice* plane_;
  std::uint64_t flow_;
  int fd_;
  packet_key key_;
  std::uint32_t owned_end_ = 0;  // After the last byte, or FIN, that we must deliver to the end.
  std::uint32_t read_seq_ = 0;   // After the last byte read from the end ...
  std::uint32_t local_seq_ = 0;  // ... and after the last one that the socket has, as published.
  std::uint32_t taken_ = 0;      // After the last byte that the end acknowledged ...
  Clock::time_point taken_at_;   // ... since then.
  std::vector<char> unsent_;     // Read from the other end, and not yet accepted by this socket.
  bool ended_ = false;           // The end's FIN was read.
};

}  // namespace sni
