#pragma once

// Sockets with the options of this proxy: blocking mode (see net/loop/ring.h), close-on-exec,
// TCP_NODELAY, and the user timeout of [tcp].

#include <sys/socket.h>

#include <cerrno>

#include "core/config/config.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// Listens with SO_REUSEPORT, so that each worker has a queue of its own. The first socket of an
// address is bound without it. That fails if another process or instance listens there; with
// SO_REUSEPORT it would succeed, and the other one would get half of the connections.
Result<UniqueFd> listen_on(const ListenerConfig& listener, bool first, const TcpConfig& tcp);

// Whether this host has an address to reach this one from: connect() of a datagram socket chooses it
// and sends nothing.
bool has_source_for(const Endpoint& target);

// Sets an option that is an int.
inline bool set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// Sets up a listening socket that another process has opened, as listen_on() would.
Result<void> adopt_listener(int fd, const TcpConfig& tcp);

// Makes a listening socket ignore new connections, and still finish the handshakes that it has
// begun. Accepted sockets inherit that; admit_syns() takes it from them.
void ignore_syns(int fd);
void admit_syns(int fd);

// A socket for connecting; family is AF_INET, AF_INET6 or AF_UNIX.
Result<UniqueFd> open_backend_socket(int family, const TcpConfig& tcp);

// Whether the error is a lack of file descriptors, of the process or the system.
constexpr bool lacks_descriptors(int sys_errno) {
  return sys_errno == EMFILE || sys_errno == ENFILE;
}

// Keepalive, and how long a peer may leave bytes unacknowledged (0: until the kernel gives up, as
// in new sockets). Accepted sockets inherit what their listener has; a connection to a backend gets
// its keepalive once it has lasted for a while (Relay::keep_alive).
void set_keepalive(int fd, const TcpConfig& tcp);
void set_user_timeout(int fd, const TcpConfig& tcp);

// Sends what MSG_MORE holds back, at most 200 ms old.
void push(int fd);

// Makes the close of this socket send nothing, if the system allows it (CAP_NET_ADMIN). Otherwise
// peers beyond the next router get nothing, and nearer ones an RST.
void vanish_on_close(int fd);

// The address of an accepted socket's peer, even if the peer has already reset it.
Endpoint peer_of(int fd);

// The address that the client of an accepted socket connected to.
Endpoint local_of(int fd);

// Bytes that the peer has not acknowledged yet (SIOCOUTQ); 0 for a dead socket.
std::uint32_t unacknowledged_bytes(int fd);

// Bytes that a send on this TCP socket accepts at once: half of the free room in its buffer, since
// a page in the queue can be charged more than its bytes.
std::uint32_t send_room(int fd);

// Takes the error that ended the socket (ECONNRESET, EPIPE, ETIMEDOUT, ...), so that later calls no
// longer see it; 0: none. A socket that is shut down in both directions hangs up without one.
int take_error(int fd);
// Whether an error means that the peer can no longer be reached, rather than that it sent an RST.
bool is_lost(int error);

// Makes the socket readable only at so many bytes, or at the end (SO_RCVLOWAT).
void set_low_water(int fd, int bytes);

}  // namespace sni
