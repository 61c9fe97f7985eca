#pragma once

// Local ports for connections to backends that may be spliced.
//
// A spliced flow has no socket, so the kernel does not know that its four-tuple is in use. Each port
// here is therefore held by a socket that is bound and nothing else (SO_REUSEADDR, both families):
// that keeps the kernel from choosing it for anybody's connect, while explicit binds with
// SO_REUSEADDR, ours, still work. One port serves many backends; which backend's tuples live is
// kept here. A tuple rests after its end for as long as a socket may be in TIME_WAIT.
//
// Ports are reserved when they are needed, up to a bound. Nothing here blocks; one thread.

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class LocalPorts {
 public:
  struct Limits {
    std::uint32_t ports = 1024;      // One descriptor each.
    std::uint32_t backends = 4096;   // With a tuple that lives or rests.
    std::uint64_t rest_ms = 60'000;  // TCP_TIMEWAIT_LEN of include/net/tcp.h.
  };
  struct Counters {
    std::uint64_t taken = 0;
    std::uint64_t exhausted = 0;  // All ports live or rest for that backend.
    std::uint64_t refused = 0;  // The kernel gave no further port: descriptors, or the port range.
  };

  explicit LocalPorts(const Limits& limits) : limits_(limits) {}

  // A port whose tuple with this backend is free; nullopt, counted: none, and the connection goes
  // without one and stays with the proxy.
  std::optional<std::uint16_t> take(const Endpoint& backend, std::uint64_t now_ms);
  // Gives it back. `used`: a connection was made, so the tuple rests.
  void release(const Endpoint& backend, std::uint16_t port, bool used, std::uint64_t now_ms);
  // Marks the tuple of a flow that outlived an earlier process; false: the port cannot be reserved.
  bool adopt(const Endpoint& backend, std::uint16_t port);

  const Counters& counters() const { return counters_; }
  std::size_t reserved() const { return ports_.size(); }
  // Tuples that live.
  std::size_t live() const { return live_; }

 private:
  struct Resting {
    std::uint16_t port;
    std::uint64_t until_ms;
  };
  struct HashEndpoint {
    std::size_t operator()(const Endpoint& each) const noexcept {
      return std::hash<IpAddress>()(each.ip) ^ (std::size_t{each.port} << 16) ^ each.scope;
    }
  };
  // Of one backend. A port is live, resting, free, or not yet reached by `next`.
  struct Tuples {
    std::size_t next = 0;  // Index into ports_.
    std::vector<std::uint16_t> free;
    std::deque<Resting> resting;       // By time.
    std::vector<std::uint16_t> ahead;  // Adopted: live or given back, and `next` skips them.
    std::uint32_t live = 0;
  };

  bool grow(std::uint16_t port);
  void drop_idle_backend(std::uint64_t now_ms);

  Limits limits_;
  Counters counters_;
  std::size_t live_ = 0;
  std::vector<std::uint16_t> ports_;
  std::vector<UniqueFd> holders_;
  std::unordered_map<Endpoint, Tuples, HashEndpoint> backends_;
};

// Binds a socket that is going to connect to a port of LocalPorts, on any address of its family.
Result<void> bind_local_port(int fd, sa_family_t family, std::uint16_t port);

}  // namespace sni
