#pragma once

// epoll, level-triggered, with the file descriptor as data and deadlines in nanoseconds. Within the
// bench each descriptor is closed only by the loop that polls it, so its number is a sufficient
// identity.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <span>

#include "bench/clock.h"
#include "core/unique_fd.h"

namespace sni::bench {

class Poller {
 public:
  Poller() : fd_(UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC))) {}

  void add(int fd, std::uint32_t events) { control(EPOLL_CTL_ADD, fd, events); }
  void modify(int fd, std::uint32_t events) { control(EPOLL_CTL_MOD, fd, events); }
  void remove(int fd) { control(EPOLL_CTL_DEL, fd, 0); }

  // Events, or none after `deadline` (now_ns() time, UINT64_MAX: never) or a signal.
  std::span<const epoll_event> wait(std::uint64_t deadline) {
    timespec timeout{};
    if (deadline != UINT64_MAX) {
      const std::uint64_t now = now_ns();
      const std::uint64_t left = deadline > now ? deadline - now : 0;
      timeout = {.tv_sec = static_cast<time_t>(left / second_ns),
                 .tv_nsec = static_cast<long>(left % second_ns)};
    }
    const int n = ::epoll_pwait2(fd_.get(), events_.data(), static_cast<int>(events_.size()),
                                 deadline == UINT64_MAX ? nullptr : &timeout, nullptr);
    return std::span(events_).first(n > 0 ? static_cast<std::size_t>(n) : 0);
  }

 private:
  void control(int op, int fd, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    ::epoll_ctl(fd_.get(), op, fd, &event);
  }

  UniqueFd fd_;
  std::array<epoll_event, 256> events_;
};

// Bulk receivers are woken once per this many bytes rather than for each segment: a wake-up of
// another CPU costs its sender more than the segment does, and the generator must not be the
// bottleneck.
inline constexpr int bulk_wake_bytes = 128 * 1024;

// How many bytes make a socket readable (SO_RCVLOWAT); the end of a stream needs 1.
inline void wake_at(int fd, int bytes) {
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

inline void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace sni::bench
