#include "bpf/packet/tcp_repair.h"

#include <linux/bpf.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace sni {
namespace {

template <typename T>
bool get_tcp(int fd, int option, T& value) {
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, IPPROTO_TCP, option, &value, &size) == 0;
}

// More than any window (RFC 7323 2.3: 2^30).
constexpr int no_clamp = 1 << 30;
// SO_BUF_LOCK's bit for the receive buffer (SOCK_RCVBUF_LOCK of include/net/sock.h).
constexpr int receive_lock = 2;

// Linux's own default (net.ipv4.tcp_rmem), half of which is window.
constexpr int buffer_usual = 131'072;

bool set_int(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

// Repair mode for one scope. Leaving it would send a window probe. It also clears SO_REUSEADDR
// (tcp_repair_set and its callers in net/ipv4/tcp.c), without which a restarted proxy could not
// bind the listener's port while an accepted socket exists.
class RepairMode {
 public:
  explicit RepairMode(int fd) : fd_(fd) {
    socklen_t size = sizeof(reuse_);
    ::getsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &reuse_, &size);
    on_ = set_int(fd_, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  }
  ~RepairMode() {
    if (!on_) return;
    set_int(fd_, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
    set_int(fd_, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
    set_int(fd_, SOL_SOCKET, SO_REUSEADDR, reuse_);
  }
  RepairMode(const RepairMode&) = delete;
  RepairMode& operator=(const RepairMode&) = delete;

  explicit operator bool() const { return on_; }
  bool read_sequence(int queue, std::uint32_t& sequence) const {
    return set_int(fd_, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue) &&
           get_tcp(fd_, TCP_QUEUE_SEQ, sequence);
  }

 private:
  int fd_;
  int reuse_ = 0;
  bool on_ = false;
};

// TCPI_OPT_USEC_TS of Linux 6.7: a route asks for timestamps in microseconds.
constexpr unsigned in_microseconds = 64;

// tcp_info up to tcpi_rcv_wnd of Linux 6.2, which the headers of Debian 12 do not have.
constexpr std::size_t offered_window_at = offsetof(tcp_info, tcpi_snd_wnd) + sizeof(std::uint32_t);
using WiderInfo =
    std::array<std::byte, std::max(sizeof(tcp_info), offered_window_at + sizeof(std::uint32_t))>;

// Bytes can arrive between two calls, so it repeats them until none did.
constexpr int stable_tries = 100;

bool read_received(const RepairMode& repair, int fd, TcpPosition& position) {
  for (int i = 0; i < stable_tries; ++i) {
    std::uint32_t again = 0;
    int unread = 0;
    if (!repair.read_sequence(TCP_RECV_QUEUE, position.received_seq)) return false;
    if (::ioctl(fd, SIOCINQ, &unread) != 0) return false;
    if (!repair.read_sequence(TCP_RECV_QUEUE, again)) return false;
    if (again != position.received_seq) continue;
    position.read_seq = position.received_seq - static_cast<std::uint32_t>(unread);
    return true;
  }
  errno = EAGAIN;
  return false;
}

}  // namespace

Result<TcpFacts> read_tcp_facts(int fd) {
  WiderInfo wider{};
  if (!get_tcp(fd, TCP_INFO, wider)) return fail_sys("cannot read TCP_INFO", errno);
  tcp_info info{};
  std::memcpy(&info, wider.data(), sizeof info);
  std::uint32_t offered_window = 0;
  std::memcpy(&offered_window, wider.data() + offered_window_at, sizeof offered_window);
  return TcpFacts{
      .terms = {.established = info.tcpi_state == BPF_TCP_ESTABLISHED,
                .timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0,
                .microseconds = (info.tcpi_options & in_microseconds) != 0,
                .sack = (info.tcpi_options & TCPI_OPT_SACK) != 0,
                .window_scaling = (info.tcpi_options & TCPI_OPT_WSCALE) != 0,
                .ecn = (info.tcpi_options & TCPI_OPT_ECN) != 0,
                .advertised_mss = info.tcpi_advmss,
                .sending_mss = info.tcpi_snd_mss},
      .send_scale = info.tcpi_snd_wscale,
      .receive_scale = info.tcpi_rcv_wscale,
      .received_bytes = info.tcpi_bytes_received,
      .offered_window = offered_window,
      .flight = {.waits = info.tcpi_unacked != 0,
                 .unsent = info.tcpi_notsent_bytes,
                 .congestion_window = std::uint64_t{info.tcpi_snd_cwnd} * info.tcpi_snd_mss,
                 .window = info.tcpi_snd_wnd},
      .round_trip = std::chrono::microseconds(info.tcpi_rtt),
      .least_round_trip =
          std::chrono::microseconds(info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt),
  };
}

void promise_less(int fd) {
  int bytes = 0;
  int locks = 0;
  socklen_t size = sizeof(int);
  if (::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &size) != 0 || (locks & receive_lock) != 0)
    return;
  const int usual = std::min(bytes, buffer_usual);
  // The kernel doubles it (socket(7)), and from then on would keep it.
  if (set_int(fd, SOL_SOCKET, SO_RCVBUF, (usual - usual / 8) / 2)) {
    set_int(fd, SOL_SOCKET, SO_BUF_LOCK, locks);
  }
}

void match_windows(int client_fd, int backend_fd) {
  const auto clamp = [](int fd, int other_fd) {
    tcp_info info{};
    if (!get_tcp(other_fd, TCP_INFO, info) || info.tcpi_snd_wnd == 0) return;
    // Less by an eighth: offered windows are rounded up to the window scale, and the end's room
    // varies.
    const std::uint32_t room = info.tcpi_snd_wnd - info.tcpi_snd_wnd / 8;
    // The kernel would raise the clamp with the buffer (tcp_rcv_space_adjust).
    set_int(fd, SOL_SOCKET, SO_BUF_LOCK, receive_lock);
    set_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, static_cast<int>(room));
  };
  clamp(client_fd, backend_fd);
  clamp(backend_fd, client_fd);
}

void let_buffers_grow(int client_fd, int backend_fd) {
  for (const int fd : {client_fd, backend_fd}) set_int(fd, SOL_SOCKET, SO_BUF_LOCK, 0);
}

void free_windows(int client_fd, int backend_fd) {
  for (const int fd : {client_fd, backend_fd}) set_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, no_clamp);
  let_buffers_grow(client_fd, backend_fd);
}

Result<TcpPosition> read_tcp_position(int fd) {
  TcpPosition position;
  const RepairMode repair(fd);
  if (!repair) return fail_sys("cannot look into a socket (TCP_REPAIR, CAP_NET_ADMIN)", errno);
  tcp_repair_window window{};
  int unacked = 0;
  if (!read_received(repair, fd, position) || !get_tcp(fd, TCP_REPAIR_WINDOW, window) ||
      ::ioctl(fd, SIOCOUTQ, &unacked) != 0 ||
      !repair.read_sequence(TCP_SEND_QUEUE, position.write_seq))
    return fail_sys("cannot read a socket's sequence numbers (TCP_REPAIR)", errno);
  position.acked_seq = position.write_seq - static_cast<std::uint32_t>(unacked);
  position.peer_window = window.snd_wnd;
  position.promised_edge = window.rcv_wup + window.rcv_wnd;
  return position;
}

void acknowledge_now(int fd) {
  set_int(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
}

Result<std::uint32_t> read_tcp_stamp(int fd) {
  std::uint32_t stamp = 0;
  if (!get_tcp(fd, TCP_TIMESTAMP, stamp)) return fail_sys("cannot read TCP_TIMESTAMP", errno);
  // Since Linux 6.7 the lowest bit is 0 here, since it says whether the unit is the microsecond
  // (do_tcp_getsockopt), and the running millisecond may be all but over.
  return stamp + 2;
}

std::uint32_t receive_room(int fd) {
  int bytes = 0;
  socklen_t size = sizeof(bytes);
  ::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
  return bytes > 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

void prod(int fd) {
  const auto stamp = read_tcp_stamp(fd);
  if (!stamp || !set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON)) return;
  // Without the lowest bit, which would mean microseconds.
  set_int(fd, IPPROTO_TCP, TCP_TIMESTAMP, static_cast<int>((*stamp + 1) & ~1U));
  set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF);  // tcp_send_window_probe().
}

Result<void> leave_silently(int fd) {
  if (!set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON))
    return fail_sys("cannot leave a connection (TCP_REPAIR, CAP_NET_ADMIN)", errno);
  return {};
}

void reset_on_close(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace sni
