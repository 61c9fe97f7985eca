#pragma once

// Local ports of connections to backends that are spliced.
//
// A spliced flow has no socket, so the kernel does not know that its four-tuple is in use. The port
// of each flow is therefore held by a socket that is only bound, with SO_REUSEADDR and in both
// families, whoever else has connections from it (TCP_REPAIR). The kernel then does not choose the
// port for any connect, since __inet_hash_connect() skips bound ports, while our own explicit binds
// with SO_REUSEADDR still work.
//
// Usually the kernel chooses the port of a connection, and the port is held only when the
// connection is about to lose its sockets, so short connections pay nothing. When many ports are
// held, new connections are bound to held ports whose tuple with their backend is free, so that one
// descriptor serves many backends. Such a tuple is not reused for as long as its last connection
// may be in TIME_WAIT.
//
// Nothing here blocks; one thread.

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/address/address.h"
#include "core/error.h"
#include "core/session/counters.h"
#include "core/unique_fd.h"

namespace sni {

class LocalPorts {
 public:
  struct Limits {
    std::uint32_t holders = 4096;       // One descriptor each.
    std::uint32_t sharing_from = 1024;  // From this many holders on, their ports are shared.
    std::uint64_t rest_ms = 60'000;     // TCP_TIMEWAIT_LEN of include/net/tcp.h.
  };

  // `counts` outlives it.
  LocalPorts(const Limits& limits, PortCounts& counts) : limits_(limits), counts_(counts) {}

  // A held port whose tuple with this backend is free, for bind_local_port() before connect().
  // nullopt: let the kernel choose.
  std::optional<std::uint16_t> share(const Endpoint& backend);
  // Holds the tuple of a connection whose port the kernel chose and whose socket has SO_REUSEADDR,
  // to be called before that closes; or the tuple of a flow that outlived an earlier process.
  // false: it cannot be held.
  bool hold(const Endpoint& backend, std::uint16_t port);
  // Gives a shared or held tuple back. `rest`: its socket may be in TIME_WAIT.
  void release(const Endpoint& backend, std::uint16_t port, bool rest, std::uint64_t now_ms);
  // Frees the tuples whose rest is over.
  void expire(std::uint64_t now_ms);

  std::size_t holders() const { return holders_.size(); }

 private:
  struct Holder {
    UniqueFd fd;
    std::uint32_t tuples = 0;  // In use or resting.
    std::size_t place = 0;     // In ports_.
  };
  // Ports in use or resting with one backend.
  struct Tuples {
    std::vector<std::uint16_t> ports;  // Sorted. A set would take 40 bytes for each.
    std::size_t cursor = 0;            // Into ports_: the next candidate for sharing.
  };
  struct Resting {
    Endpoint backend;
    std::uint16_t port;
    std::uint64_t until_ms;
  };

  void drop(const Endpoint& backend, std::uint16_t port);

  Limits limits_;
  PortCounts& counts_;
  std::unordered_map<std::uint16_t, Holder> holders_;
  std::vector<std::uint16_t> ports_;  // The ports of holders_.
  std::unordered_map<Endpoint, Tuples> tuples_;
  std::deque<Resting> resting_;  // Sorted by time.
};

// Prepares this unconnected socket so that its port can be held while it uses it.
Result<void> allow_holding(int fd);
// Binds a socket to a port from share(), on any address of its family, before it connects.
Result<void> bind_local_port(int fd, sa_family_t family, std::uint16_t port);

}  // namespace sni
