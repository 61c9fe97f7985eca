#include "bpf/tcp_counters.h"

#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace sni {

Result<TcpCounters> read_tcp_counters(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
    return fail_sys("cannot read TCP_INFO", errno);
  return TcpCounters{
      .received = info.tcpi_bytes_received,
      .written = info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes,
      .acked = info.tcpi_bytes_acked,
      .idle_ms = std::min(info.tcpi_last_data_sent, info.tcpi_last_data_recv),
      .state = info.tcpi_state,
  };
}

std::uint32_t free_send_space(int fd) {
  std::uint32_t memory[SK_MEMINFO_VARS] = {};
  socklen_t size = sizeof(memory);
  if (::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0) return 0;
  const auto limit = memory[SK_MEMINFO_SNDBUF];
  const auto queued = memory[SK_MEMINFO_WMEM_QUEUED];
  return limit > queued ? limit - queued : 0;
}

std::uint64_t socket_cookie(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return 0;
  return cookie;
}

}  // namespace sni
