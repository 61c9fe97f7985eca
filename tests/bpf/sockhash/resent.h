#pragma once

// A sender that retransmits bytes with other segment boundaries, as TCP does after a loss
// (tcp_collapse_retrans): by TCP_REPAIR its socket is replaced by one whose sequence numbers begin
// earlier.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>

#include "support/tcp_pair.h"

namespace sni::test {

// The same connection over IPv4. The next bytes sent repeat, on the wire, the `back` bytes before.
// At most 2680 bytes are sent as one sk_buff, and TCP drops an sk_buff of only old bytes.
inline UniqueFd resent(UniqueFd old, std::uint32_t back) {
  sockaddr_in here{};
  sockaddr_in there{};
  socklen_t size = sizeof(here);
  check(::getsockname(old.get(), reinterpret_cast<sockaddr*>(&here), &size), "getsockname");
  check(::getpeername(old.get(), reinterpret_cast<sockaddr*>(&there), &size), "getpeername");
  set_option(old.get(), IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  tcp_repair_window window{};
  size = sizeof(window);
  check(::getsockopt(old.get(), IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &size),
        "TCP_REPAIR_WINDOW");
  std::array<int, 3> next{};  // By queue.
  for (const int queue : {TCP_RECV_QUEUE, TCP_SEND_QUEUE}) {
    set_option(old.get(), IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
    size = sizeof(int);
    check(::getsockopt(old.get(), IPPROTO_TCP, TCP_QUEUE_SEQ, &next[queue], &size),
          "TCP_QUEUE_SEQ");
  }
  old.reset();  // Sends nothing to the other end.

  auto fresh = tcp_socket();
  set_option(fresh.get(), IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  next[TCP_SEND_QUEUE] -= static_cast<int>(back);
  for (const int queue : {TCP_RECV_QUEUE, TCP_SEND_QUEUE}) {
    set_option(fresh.get(), IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
    set_option(fresh.get(), IPPROTO_TCP, TCP_QUEUE_SEQ, next[queue]);
  }
  set_option(fresh.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  check(::bind(fresh.get(), reinterpret_cast<sockaddr*>(&here), sizeof(here)), "bind");
  check(::connect(fresh.get(), reinterpret_cast<sockaddr*>(&there), sizeof(there)), "connect");
  check(::setsockopt(fresh.get(), IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)),
        "TCP_REPAIR_WINDOW");
  set_option(fresh.get(), IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
  return fresh;
}

}  // namespace sni::test
