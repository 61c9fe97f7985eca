#pragma once

// A port chosen by the kernel and reserved for the test. Its socket is bound but does not listen:
// the kernel lets others with SO_REUSEADDR bind and listen there, and chooses the port for no other
// socket.

#include <sys/socket.h>

#include "core/unique_fd.h"
#include "support/tcp_peer.h"

namespace sni::test {

class ReservedPort {
 public:
  explicit ReservedPort(const Endpoint& wanted = loopback(0)) {
    sockaddr_storage address{};
    const socklen_t length = to_sockaddr(wanted, address);
    fd_ = UniqueFd::adopt(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    check_call(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  }

  Endpoint endpoint() const { return local_endpoint(fd_.get()); }

 private:
  UniqueFd fd_;
};

}  // namespace sni::test
