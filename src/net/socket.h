#pragma once

// Sockets as this proxy wants them: blocking (see net/loop/ring.h), close-on-exec, without Nagle, with
// keepalive, and giving up on a peer as [tcp] says.

#include <sys/socket.h>

#include <cerrno>

#include "core/config/config.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// Listens with SO_REUSEPORT, so that each worker has a queue of its own. The first socket of an
// address is bound without it: that fails where another process, or another instance of this one,
// listens there, which SO_REUSEPORT would let pass and lose half of the connections to.
Result<UniqueFd> listen_on(const ListenerConfig& listener, bool first, const TcpConfig& tcp);

// Sets an option that is an int.
inline bool set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// A listening socket that another process has opened, as listen_on() would have it.
Result<void> adopt_listener(int fd, const TcpConfig& tcp);

// A socket for connecting; family is AF_INET, AF_INET6 or AF_UNIX.
Result<UniqueFd> open_backend_socket(int family, const TcpConfig& tcp);

// Whether it failed for want of a file descriptor, the process's or the system's.
constexpr bool lacks_descriptors(int sys_errno) {
  return sys_errno == EMFILE || sys_errno == ENFILE;
}

// Keepalive, and how long a peer may leave bytes unacknowledged. Accepted sockets inherit their
// listener's.
void set_keepalive(int fd, const TcpConfig& tcp);

// The close of this socket is to tell its peer nothing, where the system lets us (CAP_NET_ADMIN);
// else peers beyond the next router get nothing, and those before it a RST.
void vanish_on_close(int fd);

// The address of an accepted socket's peer, also where the peer has reset it already.
Endpoint peer_of(int fd);

// The address that the client of an accepted socket has connected to.
Endpoint local_of(int fd);

// Bytes that the peer has not acknowledged yet (SIOCOUTQ); 0 for a dead socket.
std::uint32_t unacknowledged_bytes(int fd);

// Bytes that a send on this TCP socket takes at once: half of the free room in its buffer, since a
// page in the queue can account for more than the bytes on it.
std::uint32_t send_room(int fd);

// The error that ended the socket (ECONNRESET, EPIPE, ETIMEDOUT, ...), which later calls then no
// longer see; 0: none. A socket that is shut down in both directions hangs up without one.
int take_error(int fd);
// Whether an error says that the peer cannot be reached any more, rather than that it has reset us.
bool is_lost(int error);

// Reads are due only when so many bytes are there, or the end (SO_RCVLOWAT).
void set_low_water(int fd, int bytes);

// The close of this socket is to send RST instead of FIN (SO_LINGER 0). Unsent bytes are dropped.
void reset_on_close(int fd);

}  // namespace sni
