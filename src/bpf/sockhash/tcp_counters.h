#pragma once

// The kernel's own counters of one TCP socket. The drain test and the access line use these and not
// the programs' counters: a redirect to a full queue runs its program again and counts its bytes
// twice.

#include <cstdint>

#include "core/error.h"

namespace sni {

struct TcpCounters {
  std::uint64_t received = 0;  // Payload received in order; a FIN counts as 1.
  // Payload that has entered the send queue, whether sent or waiting. All three parts come from one
  // getsockopt, under the socket's lock.
  std::uint64_t written = 0;
  std::uint64_t acked = 0;    // Of `written`; includes SYN and FIN once acknowledged.
  std::uint32_t idle_ms = 0;  // Since payload was last sent or received, whichever is later.
  std::uint8_t state = 0;     // TCP_ESTABLISHED and so on.
};

Result<TcpCounters> read_tcp_counters(int fd);

// Bytes that the send queue accepts before a nonblocking send fails: SO_SNDBUF minus the charged
// memory, in the kernel's own unit (truesize). 0 if it cannot be read.
std::uint32_t free_send_space(int fd);

// The identity of a socket for the maps (SO_COOKIE); 0 if it cannot be read.
std::uint64_t socket_cookie(int fd);

}  // namespace sni
