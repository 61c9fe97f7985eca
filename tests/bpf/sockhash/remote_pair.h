#pragma once

// A pair whose backend counts as remote, and the userspace half of the gate in its plainest form.

#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "bpf/sockhash/sock_fixture.h"

namespace sni::test {

// The test stream up to `total`, from `sent` on.
inline void send_stream(int fd, std::uint64_t total, std::size_t piece = 64 * 1024,
                        std::uint64_t sent = 0) {
  while (sent < total) {
    const auto bytes = test_stream(sent, std::min<std::uint64_t>(piece, total - sent));
    send_all(fd, bytes);
    sent += bytes.size();
  }
}

struct Reading {
  int pause_us = 0;               // How long to stop
  std::uint64_t every = 1 << 20;  // after so many bytes.
  bool to_end = true;             // Whether a FIN must follow.
};

// Whether exactly the test stream of this length arrives.
inline bool read_stream(int fd, std::uint64_t total, Reading reading) {
  std::uint64_t have = 0;
  std::uint64_t next_pause = reading.every;
  while (have < total) {
    const auto bytes = receive(fd, std::min<std::uint64_t>(64 * 1024, total - have));
    if (bytes.empty() || bytes != test_stream(have, bytes.size())) return false;
    have += bytes.size();
    if (reading.pause_us && have >= next_pause) {
      next_pause += reading.every;
      ::usleep(static_cast<useconds_t>(reading.pause_us));
    }
  }
  return !reading.to_end || receive(fd, 1).empty();
}

// Bytes of the test stream until the end or the first wrong one.
inline std::uint64_t count_stream(int fd) {
  std::uint64_t have = 0;
  for (;;) {
    const auto bytes = receive(fd, 64 * 1024);
    if (bytes != test_stream(have, bytes.size())) return have;
    have += bytes.size();
    if (bytes.size() < 64 * 1024) return have;
  }
}

struct RemotePair : ProxiedPair {
  SockFixture& fixture;
  std::uint32_t slot = 0;
  std::uint64_t client_cookie = 0;
  std::uint64_t received = 0;   // Read and forwarded before the hand-over.
  std::uint64_t forwarded = 0;  // Passed bytes sent since.

  explicit RemotePair(SockFixture& owner, int client_receive_buffer = 0) : fixture(owner) {
    std::tie(client, client_side) = connected(client_receive_buffer);
    std::tie(backend_side, backend) = connected();
    client_cookie = socket_cookie(client_side.get());
    slot = fixture.slots->take(socket_cookie(backend_side.get())).value();
  }

  void add_source() {
    must(fixture.slots->add_target(client_side.get(), client_cookie));
    must(fixture.slots->add_source(slot, {.backend_fd = backend_side.get(),
                                          .client_fd = client_side.get(),
                                          .client_cookie = client_cookie,
                                          .received = received}));
  }

  void arm_without_kick(std::uint32_t backlog_max) {
    add_source();
    fixture.slots->arm(slot, backlog_max);
  }

  void arm(std::uint32_t backlog_max) {
    arm_without_kick(backlog_max);
    kick_source(backend_side.get());
  }

  void wait_for_hang_up() {
    if (!wait_for(backend_side.get(), POLLRDHUP, wait_limit_ms))
      throw std::runtime_error("no hang-up");
  }

  void wait_until_drained() {
    for (int i = 0; i < 20'000; i++) {
      if (fixture.slots->target_drained(slot, client_side.get())) return;
      ::usleep(1000);
    }
    throw std::runtime_error("the backlog does not drain");
  }

  std::uint64_t forward_pending() {
    if (fixture.slots->pending(slot) == 0) return 0;
    const auto bytes = receive_now(backend_side.get());
    if (bytes.empty()) return 0;
    wait_until_drained();
    send_all(client_side.get(), bytes);
    forwarded += bytes.size();
    fixture.slots->set_forwarded(slot, forwarded);
    return bytes.size();
  }

  // Until the backend's FIN, and then carries it over.
  void relay() {
    for (;;) {
      if (forward_pending() > 0) continue;
      if (wait_for(backend_side.get(), POLLRDHUP, 0)) {
        const auto counters = must(read_tcp_counters(backend_side.get()));
        if (fixture.slots->pending(slot) == 0 &&
            fixture.slots->source_drained(slot, counters, true))
          break;
      }
      if (fixture.slots->fall_asleep(slot)) {
        wait_for(fixture.slots->notice_fd(), POLLIN, 10);
        while (fixture.slots->take_notice()) continue;
      }
    }
    wait_until_drained();
    ::shutdown(client_side.get(), SHUT_WR);
  }
};

}  // namespace sni::test
