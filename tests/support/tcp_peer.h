#pragma once

// The two ends of TCP connections on loopback, as tests play clients and backends. Every call waits
// at most `wait_limit`, and a test with a silent peer fails with what it waited for.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/address/address.h"
#include "core/unique_fd.h"

namespace sni::test {

inline constexpr std::chrono::seconds wait_limit{30};

// How a stream of bytes ended.
enum class End : std::uint8_t { fin, reset };

struct TcpOptions {
  int segment_bytes = 0;         // 0: the path's own.
  int receive_buffer_bytes = 0;  // 0: the system's.
  std::uint8_t host = 1;         // Listens on 127.0.0.host.
};
// A reader that stalls after some tens of KiB instead of megabytes: the kernel sizes the writer's
// send buffer by the segments (tcp_sndbuf_expand), and those of loopback have 64 KiB.
inline constexpr TcpOptions narrow{.segment_bytes = 536, .receive_buffer_bytes = 8192};

// Bytes that differ by position and seed.
inline std::vector<std::uint8_t> pattern(std::size_t size, std::size_t seed = 0) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>((i + 7919 * seed) * 2'654'435'761U >> 13);
  }
  return bytes;
}

inline Endpoint loopback(std::uint16_t port) {
  return {.ip = IpAddress::v4(127, 0, 0, 1), .port = port};
}

inline void check_call(bool good, const char* what) {
  if (!good) throw std::system_error(errno, std::generic_category(), what);
}

inline void set_options(int fd, const TcpOptions& options) {
  const auto set = [fd](int level, int option, int value) {
    if (value == 0) return;
    check_call(setsockopt(fd, level, option, &value, sizeof value) == 0, "setsockopt");
  };
  set(IPPROTO_TCP, TCP_MAXSEG, options.segment_bytes);
  set(SOL_SOCKET, SO_RCVBUF, options.receive_buffer_bytes);
}

inline Endpoint local_endpoint(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  check_call(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");
  return from_sockaddr(address).value();
}

inline void await(int fd, short events, const char* what) {
  pollfd wait{.fd = fd, .events = events, .revents = 0};
  const auto limit_ms = std::chrono::milliseconds(wait_limit).count();
  if (poll(&wait, 1, static_cast<int>(limit_ms)) != 1) throw std::runtime_error(what);
}

class TcpPeer {
 public:
  TcpPeer() = default;
  explicit TcpPeer(UniqueFd fd) : fd_(std::move(fd)) {}

  static TcpPeer connect(const Endpoint& to, const TcpOptions& options = {}) {
    UniqueFd fd = UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check_call(static_cast<bool>(fd), "socket");
    set_options(fd.get(), options);
    sockaddr_storage address;
    const socklen_t length = to_sockaddr(to, address);
    check_call(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0, "connect");
    return TcpPeer(std::move(fd));
  }

  void send(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      await(fd_.get(), POLLOUT, "the peer takes no bytes");
      const ssize_t sent =
          ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EAGAIN) continue;
      check_call(sent > 0, "send");
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  void send(std::string_view text) {
    send(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

  // The bytes and a FIN in one segment.
  void send_last(std::string_view text) {
    check_call(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_MORE) > 0, "send");
    send_fin();
  }

  // Exactly `count` bytes, or fewer if the stream ends earlier.
  std::vector<std::uint8_t> receive(std::size_t count) {
    std::vector<std::uint8_t> bytes(count);
    std::size_t have = 0;
    while (have < count) {
      const ssize_t got = receive_some(std::span(bytes).subspan(have));
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  std::string receive_text(std::size_t count) {
    const auto bytes = receive(count);
    return {bytes.begin(), bytes.end()};
  }

  // All bytes up to the end of the stream.
  struct Rest {
    std::vector<std::uint8_t> bytes;
    End end = End::fin;
    std::string text() const { return {bytes.begin(), bytes.end()}; }
  };
  Rest receive_rest() {
    Rest rest;
    while (receive_part(rest)) {
    }
    return rest;
  }
  // Waits for the next bytes; false: the stream ended.
  bool receive_part(Rest& rest) {
    std::array<std::uint8_t, 16384> part;
    const ssize_t got = receive_some(part);
    if (got <= 0) {
      rest.end = got == 0 ? End::fin : End::reset;
      return false;
    }
    rest.bytes.insert(rest.bytes.end(), part.begin(), part.begin() + got);
    return true;
  }
  End end() { return receive_rest().end; }

  void send_fin() { check_call(shutdown(fd_.get(), SHUT_WR) == 0, "shutdown"); }
  void send_reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    check_call(setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0, "SO_LINGER");
    fd_.reset();
  }
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }
  // Segments that the peer has sent: tcpi_segs_in of linux/tcp.h, which cannot be included beside
  // netinet/tcp.h.
  std::uint32_t segments_in() const {
    std::array<std::uint32_t, 64> info{};
    socklen_t size = sizeof info;
    check_call(getsockopt(fd_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0, "TCP_INFO");
    return info[35];
  }
  Endpoint local() const { return local_endpoint(fd_.get()); }

 private:
  // 0: FIN; -1: reset.
  ssize_t receive_some(std::span<std::uint8_t> into) {
    await(fd_.get(), POLLIN, "the peer sends neither bytes nor an end");
    const ssize_t got = recv(fd_.get(), into.data(), into.size(), 0);
    if (got < 0 && errno != ECONNRESET) check_call(false, "recv");
    return got;
  }

  UniqueFd fd_;
};

// Whether nothing listens there.
inline bool refuses(const Endpoint& endpoint) {
  try {
    TcpPeer::connect(endpoint);
    return false;
  } catch (const std::system_error& error) {
    return error.code().value() == ECONNREFUSED;
  }
}

// The rest of each stream, all read in parallel, so that the kernel's timers (a closed window is
// probed every 200 ms or more) also run in parallel.
inline std::vector<TcpPeer::Rest> receive_rests(std::span<TcpPeer> peers) {
  std::vector<TcpPeer::Rest> rests(peers.size());
  std::vector<pollfd> polled;
  for (const TcpPeer& peer : peers)
    polled.push_back({.fd = peer.fd(), .events = POLLIN, .revents = 0});
  const auto limit_ms = std::chrono::milliseconds(wait_limit).count();
  for (std::size_t open = peers.size(); open > 0;) {
    if (poll(polled.data(), polled.size(), static_cast<int>(limit_ms)) <= 0) {
      throw std::runtime_error("the peers send neither bytes nor an end");
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (polled[i].revents == 0 || peers[i].receive_part(rests[i])) continue;
      polled[i] = {.fd = -1, .events = 0, .revents = 0};  // poll() skips it.
      --open;
    }
  }
  return rests;
}

class TcpListener {
 public:
  explicit TcpListener(const TcpOptions& options = {})
      : fd_(UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    check_call(static_cast<bool>(fd_), "socket");
    set_options(fd_.get(), options);
    sockaddr_storage address;
    const socklen_t length = to_sockaddr({.ip = IpAddress::v4(127, 0, 0, options.host)}, address);
    check_call(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
    check_call(listen(fd_.get(), 4096) == 0, "listen");
    endpoint_ = local_endpoint(fd_.get());
  }

  TcpPeer accept() {
    await(fd_.get(), POLLIN, "nobody connects");
    UniqueFd fd = UniqueFd::adopt(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    check_call(static_cast<bool>(fd), "accept");
    return TcpPeer(std::move(fd));
  }
  const Endpoint& endpoint() const { return endpoint_; }
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  Endpoint endpoint_;
};

// An endpoint that refuses connections: bound, so that no other socket gets it, but not listening.
class RefusingEndpoint {
 public:
  RefusingEndpoint() : fd_(UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    check_call(static_cast<bool>(fd_), "socket");
    sockaddr_storage address;
    const socklen_t length = to_sockaddr(loopback(0), address);
    check_call(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  }
  Endpoint endpoint() const { return local_endpoint(fd_.get()); }

 private:
  UniqueFd fd_;
};

}  // namespace sni::test
