#include "bpf/sockhash/loopback_pair.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace sni {
namespace {

constexpr int client_receive_buffer = 32 * 1024;
constexpr int connect_timeout_ms = 200;

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd poll{.fd = fd, .events = events, .revents = 0};
  return ::poll(&poll, 1, timeout_ms) > 0;
}

UniqueFd open_socket() {
  // IPPROTO_TCP by name: an MPTCP socket cannot be in a SOCKHASH.
  auto fd =
      UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  const int on = 1;
  if (fd) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

Result<UniqueFd> listen_on_loopback() {
  auto listener = open_socket();
  if (!listener) return fail_sys("cannot open a socket", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener.get(), 2) != 0)
    return fail_sys("cannot listen on 127.0.0.1", errno);
  return listener;
}

Result<UniqueFd> connect_and_accept(int listener, int fd) {
  sockaddr_in address{};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  if (::getsockname(listener, generic, &size) != 0 ||
      (::connect(fd, generic, size) != 0 && errno != EINPROGRESS))
    return fail_sys("cannot connect on loopback", errno);
  if (!wait_for(listener, POLLIN, connect_timeout_ms) || !wait_for(fd, POLLOUT, connect_timeout_ms))
    return fail("loopback does not answer (is the interface lo up?)");
  auto accepted =
      UniqueFd::adopt(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted) return fail_sys("cannot accept on loopback", errno);
  return accepted;
}

}  // namespace

Result<LoopbackPair> make_loopback_pair() {
  auto listener = listen_on_loopback();
  if (!listener) return std::unexpected(listener.error());
  LoopbackPair pair{.listener = std::move(*listener),
                    .client = open_socket(),
                    .client_side = {},
                    .backend_side = open_socket(),
                    .backend = {}};
  if (!pair.client || !pair.backend_side) return fail_sys("cannot open a socket", errno);
  ::setsockopt(pair.client.get(), SOL_SOCKET, SO_RCVBUF, &client_receive_buffer,
               sizeof(client_receive_buffer));
  auto client_side = connect_and_accept(pair.listener.get(), pair.client.get());
  if (!client_side) return std::unexpected(client_side.error());
  pair.client_side = std::move(*client_side);
  return pair;
}

Result<void> connect_backend(LoopbackPair& pair) {
  auto backend = connect_and_accept(pair.listener.get(), pair.backend_side.get());
  if (!backend) return std::unexpected(backend.error());
  pair.backend = std::move(*backend);
  return {};
}

Result<void> renew_backend_side(LoopbackPair& pair) {
  pair.backend.reset();
  pair.backend_side = open_socket();
  if (!pair.backend_side) return fail_sys("cannot open a socket", errno);
  return {};
}

std::string test_stream(std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; i++) {
    const std::uint64_t mixed = (offset + i + 1) * 0x9e3779b97f4a7c15ull;
    bytes[i] = static_cast<char>((mixed ^ (mixed >> 29)) >> 32);
  }
  return bytes;
}

bool send_within(int fd, std::string_view bytes, int timeout_ms) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0)
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    else if (sent == 0 || errno != EAGAIN || !wait_for(fd, POLLOUT, timeout_ms))
      return false;
  }
  return true;
}

std::string receive_within(int fd, std::size_t size, int timeout_ms) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const auto got = ::recv(fd, bytes.data() + have, size - have, 0);
    if (got > 0)
      have += static_cast<std::size_t>(got);
    else if (got == 0 || errno != EAGAIN || !wait_for(fd, POLLIN, timeout_ms))
      break;
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace sni
