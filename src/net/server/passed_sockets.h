#pragma once

// Listening sockets that the service manager has opened for us (socket activation,
// sd_listen_fds(3)): descriptors from 3 on, their number in $LISTEN_FDS and their names in
// $LISTEN_FDNAMES, for the process $LISTEN_PID. The manager keeps them open too, so that clients
// wait in their queue while the proxy restarts. The proxy needs no privilege for ports below 1024.

#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class PassedSockets {
 public:
  // Takes them over, close-on-exec. To be called once. Empty if there are none for us.
  static PassedSockets from_environment();

  // The socket for a listener: among those on its address, one with its name is preferred. An empty
  // descriptor: there is none. An Error: the one with its name does not fit. Each call returns a
  // new descriptor of the same socket, and the original is kept for later calls.
  Result<UniqueFd> find(const ListenerConfig& listener, const TcpConfig& tcp);

  // Whether one of them listens on this address. Our options on it outlive us.
  bool has(const Endpoint& address) const;

  // Closes those that find() has never returned; returns their names for the log.
  std::vector<std::string> close_unused();

 private:
  struct Passed {
    std::string name;
    UniqueFd fd;
    bool used = false;
  };
  std::vector<Passed> sockets_;
};

}  // namespace sni
