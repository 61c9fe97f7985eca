#include "bpf/sockhash/tcp_counters.h"

#include <linux/bpf.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace sni {

namespace {

// tcpi_notsent_bytes counts sequence numbers, and a FIN that waits after the bytes has one.
bool has_unsent_fin(const tcp_info& info) {
  return info.tcpi_notsent_bytes > 0 &&
         (info.tcpi_state == BPF_TCP_FIN_WAIT1 || info.tcpi_state == BPF_TCP_LAST_ACK ||
          info.tcpi_state == BPF_TCP_CLOSING);
}

}  // namespace

Result<TcpCounters> read_tcp_counters(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
    return fail_sys("cannot read TCP_INFO", errno);
  return TcpCounters{
      .received = info.tcpi_bytes_received,
      .written = info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes -
                 (has_unsent_fin(info) ? 1 : 0),
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
