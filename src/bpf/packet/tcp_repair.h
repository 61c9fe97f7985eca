#pragma once

// Reads the state of an established socket by TCP_REPAIR, and closes a socket without sending
// anything to its peer. Needs CAP_NET_ADMIN in the socket's network namespace.

#include <chrono>
#include <cstdint>

#include "core/error.h"
#include "core/packet/handover_rules.h"

namespace sni {

struct TcpFacts {
  TcpTerms terms;
  std::uint8_t send_scale = 0;       // For windows that the end sends.
  std::uint8_t receive_scale = 0;    // For windows that we send.
  std::uint64_t received_bytes = 0;  // Advances with the position's received_seq.
  std::uint32_t offered_window = 0;  // Bytes; the last that we offered. 0 before Linux 6.2.
  TcpFlight flight;
  // 0: not measured yet.
  std::chrono::microseconds round_trip{0};  // Smoothed.
  std::chrono::microseconds least_round_trip{0};
};
// From TCP_INFO alone.
Result<TcpFacts> read_tcp_facts(int fd);

// Enters repair mode briefly, which sends nothing. Nobody else may use the socket meanwhile.
Result<TcpPosition> read_tcp_position(int fd);

// For a socket that will connect or listen: it starts with an eighth less receive buffer, and so with
// a window that ends of its kind have room for. An offered window hardly shrinks while bytes come in
// pieces below the unit of its scale (__tcp_select_window() in net/ipv4/tcp_output.c rounds up), so
// match_windows() alone never helps connections of small messages. The buffer still grows by itself;
// one that was set by hand stays.
void promise_less(int fd);

// From now on neither socket offers its end more window than the other end has room for. A larger
// window that was already offered stays valid until it is used up. The kernel undoes this when its
// estimate of the memory per segment changes (tcp_measure_rcv_mss), so do not call it before a
// connection's first bytes.
void match_windows(int client_fd, int backend_fd);
// For a while in which nothing is read: match_windows() keeps the buffers from growing, and a kernel
// that cannot hold a whole offered window drops its end and takes the window back (ICSK_ACK_NOMEM in
// tcp_data_queue()). Without a read the window does not grow with its buffer.
void let_buffers_grow(int client_fd, int backend_fd);
// Ends the effect of match_windows().
void free_windows(int client_fd, int backend_fd);

// Has the socket acknowledge at once what it received. One whose bytes nobody reads waits for 40 ms
// and more (__tcp_ack_snd_check).
void acknowledge_now(int fd);

// A timestamp that is no older than what the socket sends now, and at most 2 ms newer.
Result<std::uint32_t> read_tcp_stamp(int fd);

// Bytes: the socket's window never reaches further than this beyond the last byte read from it.
std::uint32_t receive_room(int fd);

// Has the end acknowledge what it has received, by a probe as of a closed window (RFC 9293 3.8.6.1):
// a segment without bytes and with an old number. Its timestamp is no older than any that the end has
// had by way of the programs.
void prod(int fd);

// Afterwards close() sends neither FIN nor RST and frees everything at once.
Result<void> leave_silently(int fd);

// Makes the close of this socket send an RST instead of a FIN (SO_LINGER 0). Unsent bytes are
// dropped.
void reset_on_close(int fd);

}  // namespace sni
