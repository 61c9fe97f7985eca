#pragma once

// A backend in a thread of its own that echoes what it receives, and then sends a FIN.

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "support/tcp_peer.h"

namespace sni::test {

class EchoBackend {
 public:
  EchoBackend() : stop_(UniqueFd::adopt(eventfd(0, EFD_CLOEXEC))), thread_([this] { run(); }) {}
  ~EchoBackend() {
    const std::uint64_t one = 1;
    if (write(stop_.get(), &one, sizeof one) != sizeof one) std::abort();
    thread_.join();
  }
  EchoBackend(const EchoBackend&) = delete;
  EchoBackend& operator=(const EchoBackend&) = delete;

  const Endpoint& endpoint() const { return listener_.endpoint(); }

 private:
  struct Echo {
    TcpPeer peer;
    std::vector<std::uint8_t> unsent;
    bool ended = false;  // Everything was received.
  };

  void run() {
    for (;;) {
      std::vector<pollfd> polled{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = listener_.fd(), .events = POLLIN, .revents = 0}};
      for (const Echo& echo : echoes_) {
        const short events = echo.unsent.empty() ? POLLIN : POLLOUT;
        polled.push_back({.fd = echo.peer.fd(), .events = events, .revents = 0});
      }
      poll(polled.data(), polled.size(), -1);
      if (polled[0].revents != 0) return;
      for (std::size_t i = 0; i < echoes_.size(); ++i) {
        if (polled[i + 2].revents != 0) step(echoes_[i]);
      }
      std::erase_if(echoes_, [](const Echo& echo) { return echo.ended && echo.unsent.empty(); });
      if (polled[1].revents != 0) echoes_.push_back({.peer = listener_.accept(), .unsent = {}});
    }
  }

  static void step(Echo& echo) {
    if (echo.unsent.empty()) {
      std::array<std::uint8_t, 65536> part;
      const ssize_t got = recv(echo.peer.fd(), part.data(), part.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) return;
      echo.ended = got <= 0;
      if (got > 0) echo.unsent.assign(part.begin(), part.begin() + got);
      return;
    }
    const ssize_t sent =
        send(echo.peer.fd(), echo.unsent.data(), echo.unsent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    echo.ended |= sent < 0;
    if (sent < 0) echo.unsent.clear();
    if (sent > 0) echo.unsent.erase(echo.unsent.begin(), echo.unsent.begin() + sent);
  }

  TcpListener listener_;
  std::vector<Echo> echoes_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace sni::test
