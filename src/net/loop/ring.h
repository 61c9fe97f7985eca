#pragma once

// Theory of operation: one io_uring per worker. Requests are queued without a system call; turn()
// submits all of them and waits for completions in one. With SINGLE_ISSUER and DEFER_TASKRUN (Linux
// 6.1) the kernel does its part of the work inside that call, on this thread; older kernels use
// COOP_TASKRUN (5.19). Provided-buffer rings and multishot accept need 5.19 in any case.
//
// A request is never refused: one that the kernel cannot accept now waits for the next turn.
//
// Sockets are in blocking mode: io_uring tries without blocking, then arms a poll of its own. On an
// O_NONBLOCK socket it would return -EAGAIN instead.

#include <liburing.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <span>

#include "core/error.h"
#include "net/loop/op.h"

namespace sni {

struct Completion {
  OpTag tag;
  std::int32_t result;  // >= 0, or a negative errno.
  std::uint32_t flags;  // IORING_CQE_F_*
};

class Ring {
 public:
  // The ring belongs to the calling thread (SINGLE_ISSUER). Errors name the cause: a kernel that is
  // too old, the sysctl, or a seccomp filter.
  static Result<Ring> create(unsigned entries);
  ~Ring();
  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&&) = delete;

  void accept_multishot(int fd, OpTag tag);
  // Receives at most `length` bytes into a buffer of `group`, which the completion names.
  // poll_first: no bytes are expected yet, so wait without trying first.
  void receive(int fd, std::uint16_t group, std::uint32_t length, bool poll_first, OpTag tag);
  // The same, but gives -EAGAIN if there are no bytes.
  void receive_now(int fd, std::uint16_t group, std::uint32_t length, OpTag tag);
  // Completes with -ETIME after `delay`, which is a multiple of pause_min and at most pause_max. In
  // two milliseconds a queue will usually drain.
  void pause(OpTag tag, std::chrono::microseconds delay = std::chrono::milliseconds(2));
  static constexpr std::chrono::microseconds pause_min{250};
  static constexpr std::chrono::microseconds pause_max{256'000};
  // msg_flags: MSG_DONTWAIT gives -EAGAIN or a short count instead of waiting for space.
  void send(int fd, std::span<const std::uint8_t> bytes, int msg_flags, OpTag tag);
  // `address` must stay valid until the completion.
  void connect(int fd, const sockaddr* address, socklen_t length, OpTag tag);
  void poll(int fd, std::uint32_t events, OpTag tag);
  void read(int fd, std::span<std::uint8_t> bytes, OpTag tag);
  void cancel(OpTag target);

  // Submits, then waits until something completes or wait_ms have passed (negative: no limit).
  Result<void> turn(std::int64_t wait_ms);

  template <typename Handler>
  void for_each_completion(Handler&& handle) {
    unsigned head;
    unsigned count = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      handle(Completion{unpack(cqe->user_data), cqe->res, cqe->flags});
    }
    io_uring_cq_advance(&ring_, count);
  }

  io_uring* native() { return &ring_; }

 private:
  Ring() = default;
  io_uring_sqe* next_sqe();
  void queue_waiting();

  io_uring ring_{};
  bool open_ = false;
  std::deque<io_uring_sqe> waiting_;  // Requests that the kernel could not accept yet.
};

// Features of this kernel's io_uring, for the start log and `probe`.
struct RingFeatures {
  bool available = false;
  bool defer_taskrun = false;
  std::string reason;  // Why not available.
};
RingFeatures probe_ring();

}  // namespace sni
