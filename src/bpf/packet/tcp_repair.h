#pragma once

// What TCP_REPAIR tells of an established socket, and how a socket leaves without a word to its
// peer. CAP_NET_ADMIN of the socket's network namespace is needed.

#include <cstdint>

#include "core/error.h"
#include "core/packet/handover_rules.h"

namespace sni {

struct TcpFacts {
  TcpTerms terms;
  std::uint8_t send_scale = 0;       // Of the windows that the end sends.
  std::uint8_t receive_scale = 0;    // Of those that we send.
  std::uint64_t received_bytes = 0;  // Moves with the position's received_seq.
};
// From TCP_INFO alone.
Result<TcpFacts> read_tcp_facts(int fd);

// A short stay in repair mode: nothing is sent for it. Nobody else may use the socket meanwhile.
Result<TcpPosition> read_tcp_position(int fd);

// From now on neither socket promises its end more than the other one's end has room for. What was
// promised already stands until it is used up. The kernel undoes it when it learns better how much
// memory the segments take (tcp_measure_rcv_mss): not before a connection's first bytes.
void match_windows(int client_fd, int backend_fd);
// Ends that.
void free_windows(int client_fd, int backend_fd);

// What the socket would stamp a segment with now.
Result<std::uint32_t> read_tcp_stamp(int fd);

// Bytes: the socket never promises more than this behind the last byte that was read of it.
std::uint32_t receive_room(int fd);

// Afterwards close() sends neither FIN nor RST and frees everything at once.
Result<void> leave_silently(int fd);

}  // namespace sni
