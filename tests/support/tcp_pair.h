#pragma once

// Plain TCP connections on loopback for kernel tests: a listener on a free port, connect, and a
// proxied pair seen from all four ends. Failures throw, so that a test ends at the failure.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/unique_fd.h"

namespace sni::test {

inline int check(long result, const char* act) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), act);
  return static_cast<int>(result);
}

inline void set_option(int fd, int level, int option, int value) {
  check(::setsockopt(fd, level, option, &value, sizeof(value)), "setsockopt");
}

inline void set_nonblocking(int fd) {
  const int flags = check(::fcntl(fd, F_GETFL), "F_GETFL");
  check(::fcntl(fd, F_SETFL, flags | O_NONBLOCK), "F_SETFL");
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Blocking calls end after 20 s: a lost wake-up makes a test fail instead of hang.
inline void prepare(int fd) {
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  check(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), "SO_RCVTIMEO");
  check(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), "SO_SNDTIMEO");
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

inline UniqueFd tcp_socket() {
  auto fd =
      UniqueFd::adopt(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), "socket"));
  prepare(fd.get());
  return fd;
}

struct Listener {
  UniqueFd fd;
  std::uint16_t port = 0;

  static Listener open(std::uint16_t wanted = 0, std::uint32_t at = INADDR_LOOPBACK) {
    Listener listener{.fd = tcp_socket()};
    set_option(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    auto address = loopback(wanted);
    address.sin_addr.s_addr = htonl(at);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener.fd.get(), generic, sizeof(address)), "bind");
    check(::listen(listener.fd.get(), 128), "listen");
    socklen_t size = sizeof(address);
    check(::getsockname(listener.fd.get(), generic, &size), "getsockname");
    listener.port = ntohs(address.sin_port);
    return listener;
  }

  UniqueFd accept() const {
    auto accepted =
        UniqueFd::adopt(check(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    prepare(accepted.get());
    return accepted;
  }
};

inline void connect_to(int fd, std::uint16_t port) {
  auto address = loopback(port);
  check(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), "connect");
}

inline bool wait_for(int fd, short events, int timeout_ms) {
  pollfd poll{.fd = fd, .events = events, .revents = 0};
  return ::poll(&poll, 1, timeout_ms) > 0;
}

inline constexpr int wait_limit_ms = 20'000;

// Waits for room, on blocking and nonblocking sockets.
inline void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN && wait_for(fd, POLLOUT, wait_limit_ms)) continue;
    bytes.remove_prefix(static_cast<std::size_t>(check(sent, "send")));
  }
}

// Exactly `size` bytes, or fewer at the end.
inline std::string receive(int fd, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const auto got = check(::recv(fd, bytes.data() + have, size - have, 0), "recv");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

// What can be read at once.
inline std::string receive_now(int fd, std::size_t size = 1 << 20) {
  std::string bytes(size, '\0');
  const auto got = ::recv(fd, bytes.data(), size, MSG_DONTWAIT);
  if (got < 0 && errno != EAGAIN) check(-1, "recv");
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

// client <-> client_side [proxy] backend_side <-> backend
struct ProxiedPair {
  UniqueFd client;
  UniqueFd client_side;
  UniqueFd backend_side;
  UniqueFd backend;
};

// The connecting end, whose receive buffer may be set, and the accepted one.
inline std::pair<UniqueFd, UniqueFd> connected(int receive_buffer = 0) {
  auto listener = Listener::open();
  auto near = tcp_socket();
  if (receive_buffer) set_option(near.get(), SOL_SOCKET, SO_RCVBUF, receive_buffer);
  connect_to(near.get(), listener.port);
  return {std::move(near), listener.accept()};
}

}  // namespace sni::test
