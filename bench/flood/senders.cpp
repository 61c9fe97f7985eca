#include "bench/flood/senders.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "bench/pin.h"
#include "core/unique_fd.h"

namespace sni::bench {
namespace {

constexpr std::uint32_t source_network = 0xc613'0000;  // 198.19.0.0/16.
constexpr std::uint16_t target_port = 443;
constexpr std::uint32_t frames = 4096;  // All different, sent in turn.
constexpr unsigned frames_per_call = 64;
constexpr unsigned connections = 256;  // Under way at any time.

// Spread over the network (Knuth's multiplicative hash).
in_addr source(std::uint32_t number) {
  return {.s_addr = htonl(source_network | (number * 2654435761u >> 16))};
}

// RFC 1071, over an even number of bytes.
std::uint32_t sum_of(const void* data, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, static_cast<const char*>(data) + i, sizeof word);
    sum += word;
  }
  return sum;
}

std::uint16_t folded(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

struct Frame {
  ethhdr ethernet{};
  iphdr ip{};
  tcphdr tcp{};
} __attribute__((packed));

Frame syn(std::uint32_t number, const HardwareAddress& peer, in_addr target) {
  Frame frame;
  frame.ethernet.h_proto = htons(ETH_P_IP);
  std::memcpy(frame.ethernet.h_dest, peer.data(), peer.size());
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(sizeof(iphdr) + sizeof(tcphdr));
  ip.ttl = 64;
  ip.protocol = IPPROTO_TCP;
  ip.saddr = source(number).s_addr;
  ip.daddr = target.s_addr;
  ip.check = folded(sum_of(&ip, sizeof ip));
  tcphdr tcp{};
  tcp.source = htons(static_cast<std::uint16_t>(1024 + number % 60'000));
  tcp.dest = htons(target_port);
  tcp.seq = htonl(number);
  tcp.doff = 5;
  tcp.syn = 1;
  tcp.window = htons(64'240);
  tcp.check = folded(sum_of(&ip.saddr, 8) + htons(IPPROTO_TCP) + htons(sizeof tcp) +
                     sum_of(&tcp, sizeof tcp));
  frame.ip = ip;
  frame.tcp = tcp;
  return frame;
}

// Begins connection `number`; its end is an event of `epoll`.
void begin(int epoll, const sockaddr_in& target, std::uint32_t number) {
  UniqueFd fd = UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // No TIME_WAIT on this side: the close resets the connection.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr = source(number);
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) _exit(1);
  static_cast<void>(connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target));
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP, .data = {.fd = fd.get()}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd.get(), &event);
  static_cast<void>(fd.release());  // Closed at its event, or with the process.
}

}  // namespace

void flood_syns(const std::string& interface, const HardwareAddress& peer, in_addr target,
                std::atomic<std::uint64_t>& sent) {
  const Pinned pinned(backend_cpu);
  const UniqueFd fd = UniqueFd::adopt(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    _exit(1);

  std::vector<Frame> all;
  for (std::uint32_t i = 0; i < frames; ++i) all.push_back(syn(i, peer, target));
  std::array<iovec, frames_per_call> parts;
  std::array<mmsghdr, frames_per_call> messages{};
  for (std::size_t at = 0;; at = (at + frames_per_call) % all.size()) {
    for (unsigned i = 0; i < frames_per_call; ++i) {
      parts[i] = {.iov_base = &all[at + i], .iov_len = sizeof(Frame)};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int taken = sendmmsg(fd.get(), messages.data(), frames_per_call, 0);
    if (taken > 0) sent.fetch_add(static_cast<std::uint64_t>(taken), std::memory_order_relaxed);
  }
}

void flood_connections(in_addr target, std::atomic<std::uint64_t>& ended) {
  const Pinned pinned(backend_cpu);
  const UniqueFd epoll = UniqueFd::adopt(epoll_create1(EPOLL_CLOEXEC));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(target_port);
  to.sin_addr = target;
  std::uint32_t number = 0;
  for (unsigned i = 0; i < connections; ++i) begin(epoll.get(), to, number++);
  std::array<epoll_event, connections> events;
  for (;;) {
    const int count = epoll_wait(epoll.get(), events.data(), connections, -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      // EPOLLERR: it was never established, or was reset.
      if ((event.events & EPOLLERR) == 0) ended.fetch_add(1, std::memory_order_relaxed);
      static_cast<void>(UniqueFd::adopt(event.data.fd));
      begin(epoll.get(), to, number++);
    }
  }
}

}  // namespace sni::bench
