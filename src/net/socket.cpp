#include "net/socket.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>

#include "bpf/packet/tcp_repair.h"
#include "bpf/sockhash/tcp_counters.h"
#include "net/interface_index.h"

namespace sni {

namespace {

// The kernel caps it at net.core.somaxconn.
constexpr int backlog = 65'535;

int seconds(std::chrono::milliseconds duration) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

void tune(int fd, const TcpConfig& tcp) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (tcp.user_timeout != tcp.user_timeout.zero()) set_user_timeout(fd, tcp);
  // Bytes follow at once in the other direction and can carry the ACKs of the handshake and of the
  // hello (tcp_rcv_synsent_state_process), which saves a segment each. The setting is not
  // permanent.
  set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
}

std::unexpected<Error> refuse(const ListenerConfig& listener, int error) {
  std::string act = "cannot listen on " + listener.address.to_string(interface_name);
  if (error == EADDRINUSE) act += " (another process, or another sni-proxy, listens there)";
  if (error == EACCES) act += " (ports below 1024 need CAP_NET_BIND_SERVICE)";
  if (error == EADDRNOTAVAIL)
    act += " (no interface of this host has that address; freebind = true listens anyway)";
  return fail_sys(act, error);
}

}  // namespace

Result<UniqueFd> listen_on(const ListenerConfig& listener, bool first, const TcpConfig& tcp) {
  sockaddr_storage address;
  const socklen_t length = to_sockaddr(listener.address, address);
  UniqueFd fd = UniqueFd::adopt(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return refuse(listener, errno);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!first) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (address.ss_family == AF_INET6) {
    set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, listener.v6only ? 1 : 0);
  }
  // It needs no privilege, and also works for IPv6 sockets (inet_can_nonlocal_bind).
  if (listener.freebind) set_option(fd.get(), IPPROTO_IP, IP_FREEBIND, 1);
  tune(fd.get(), tcp);
  set_keepalive(fd.get(), tcp);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    return refuse(listener, errno);
  }
  if (first && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) return refuse(listener, errno);
  if (listen(fd.get(), backlog) != 0) return refuse(listener, errno);
  return fd;
}

Result<void> adopt_listener(int fd, const TcpConfig& tcp) {
  tune(fd, tcp);
  set_keepalive(fd, tcp);
  const int flags = fcntl(fd, F_GETFL);
  // An earlier process may have left it nonblocking (Worker::close_retired).
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 || listen(fd, backlog) != 0) {
    return fail_sys("cannot listen on a socket of the service manager", errno);
  }
  return {};
}

// The kernel asks the filter of the listener about the last ACK of a handshake too (tcp_v4_rcv), with
// the packet from its TCP header on. A client sends its ignored SYN again after a second.
void ignore_syns(int fd) {
  constexpr std::uint32_t flags_at = offsetof(tcphdr, th_flags);
  constexpr std::uint32_t whole = 0xffff'ffff;
  std::array<sock_filter, 4> program = {
      sock_filter BPF_STMT(BPF_LD | BPF_B | BPF_ABS, flags_at),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_SYN, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, 0),
      sock_filter BPF_STMT(BPF_RET | BPF_K, whole),
  };
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

void admit_syns(int fd) {
  set_option(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

Result<UniqueFd> open_backend_socket(int family, const TcpConfig& tcp) {
  // IPPROTO_TCP by name: MPTCP sockets cannot join a sockhash.
  const int protocol = family == AF_UNIX ? 0 : IPPROTO_TCP;
  UniqueFd fd = UniqueFd::adopt(socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_sys("cannot open a socket for a backend", errno);
  if (family != AF_UNIX) tune(fd.get(), tcp);
  return fd;
}

Endpoint peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    return from_sockaddr(address).value_or(Endpoint{});
  }
  // getpeername() fails for a connection that was reset (inet_getname), but SO_PEERNAME does not.
  // It accepts no more than the length of the family's address.
  for (const std::size_t exact : {sizeof(sockaddr_in6), sizeof(sockaddr_in)}) {
    length = static_cast<socklen_t>(exact);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &address, &length) == 0) {
      return from_sockaddr(address).value_or(Endpoint{});
    }
  }
  return {};
}

Endpoint local_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  return from_sockaddr(address).value_or(Endpoint{});
}

void set_keepalive(int fd, const TcpConfig& tcp) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  // Of an open connection it counts from the last byte (tcp_sock_set_keepidle_locked).
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(tcp.keepalive_idle));
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(tcp.keepalive_interval));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, static_cast<int>(tcp.keepalive_probes));
}

void set_user_timeout(int fd, const TcpConfig& tcp) {
  // It replaces the number of probes (tcp_keepalive_timer), and also ends a reader that answers but
  // keeps its window shut for so long (tcp_probe_timer).
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(tcp.user_timeout.count()));
}

void push(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // tcp_sock_set_nodelay() sends what is queued.
}

void vanish_on_close(int fd) {
  // A socket in repair mode is closed without a segment (__tcp_close, tcp_disconnect). Without
  // CAP_NET_ADMIN the RST gets a TTL that ends at the next router.
  if (set_option(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON)) return;
  set_option(fd, IPPROTO_IP, IP_TTL, 1);
  set_option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1);
  reset_on_close(fd);
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
  set_option(fd, SOL_SOCKET, SO_RCVLOWAT, bytes);
}

bool is_lost(int error) {
  // tcp_reset() reports these; tcp_write_err() and ICMP the others.
  return error != ECONNRESET && error != EPIPE;
}

bool has_source_for(const Endpoint& target) {
  sockaddr_storage address;
  const socklen_t size = to_sockaddr(target, address);
  const auto probe =
      UniqueFd::adopt(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
  return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
}

}  // namespace sni
