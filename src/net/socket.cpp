#include "net/socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <string>

#include "bpf/sockhash/tcp_counters.h"

namespace sni {

namespace {

// Keepalive finds peers that vanished without a word: first probe after a minute of silence.
constexpr int keepalive_idle_s = 60;
// The kernel caps it at net.core.somaxconn.
constexpr int backlog = 65'535;

bool set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void tune(int fd, std::chrono::milliseconds idle) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_s);
  set_user_timeout(fd, idle);
  // Bytes follow at once in the other direction: let them carry the ACKs of the handshake and of
  // the hello (tcp_rcv_synsent_state_process), which saves a segment each. It is no lasting
  // setting.
  set(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
}

std::unexpected<Error> refuse(const ListenerConfig& listener, int error) {
  std::string act = "cannot listen on " + listener.address.to_string();
  if (error == EADDRINUSE) act += " (another process, or another sni-proxy, listens there)";
  if (error == EACCES) act += " (ports below 1024 need CAP_NET_BIND_SERVICE)";
  if (error == EADDRNOTAVAIL) act += " (no interface of this host has that address)";
  return fail_sys(act, error);
}

}  // namespace

Result<UniqueFd> listen_on(const ListenerConfig& listener, bool first,
                           std::chrono::milliseconds idle) {
  sockaddr_storage address;
  const socklen_t length = to_sockaddr(listener.address, address);
  UniqueFd fd = UniqueFd::adopt(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return refuse(listener, errno);
  set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!first) set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (address.ss_family == AF_INET6) {
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, listener.v6only ? 1 : 0);
  }
  tune(fd.get(), idle);  // Accepted sockets inherit all of it (inet_csk_clone_lock).
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    return refuse(listener, errno);
  }
  if (first && !set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) return refuse(listener, errno);
  if (listen(fd.get(), backlog) != 0) return refuse(listener, errno);
  return fd;
}

Result<UniqueFd> open_backend_socket(int family, std::chrono::milliseconds idle) {
  // IPPROTO_TCP by name: MPTCP sockets cannot join a sockhash.
  const int protocol = family == AF_UNIX ? 0 : IPPROTO_TCP;
  UniqueFd fd = UniqueFd::adopt(socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_sys("cannot open a socket for a backend", errno);
  if (family != AF_UNIX) tune(fd.get(), idle);
  return fd;
}

Endpoint peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    return from_sockaddr(address).value_or(Endpoint{});
  }
  // getpeername() knows nobody behind a connection that has been reset (inet_getname), SO_PEERNAME
  // does. It takes no more than the length of the family's address.
  for (const std::size_t exact : {sizeof(sockaddr_in6), sizeof(sockaddr_in)}) {
    length = static_cast<socklen_t>(exact);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &address, &length) == 0) {
      return from_sockaddr(address).value_or(Endpoint{});
    }
  }
  return {};
}

void set_user_timeout(int fd, std::chrono::milliseconds idle) {
  // How many keepalive probes may be lost is up to it as well (tcp_keepalive_timer), and it ends a
  // reader whose window stays shut that long (tcp_probe_timer). The idle timeout, which looks at a
  // stalled reader twice, is to find these first: it can tell them from a reset.
  const auto patience = 2 * idle + std::chrono::seconds(1);
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(patience.count()));
}

std::uint32_t unacknowledged_bytes(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

std::uint32_t send_room(int fd) {
  return free_send_space(fd) / 2;
}

int take_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

void set_low_water(int fd, int bytes) {
  set(fd, SOL_SOCKET, SO_RCVLOWAT, bytes);
}

bool is_lost(int error) {
  // tcp_reset() reports these; tcp_write_err() and ICMP the others.
  return error != ECONNRESET && error != EPIPE;
}

void reset_on_close(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace sni
