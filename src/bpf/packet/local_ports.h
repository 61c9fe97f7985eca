#pragma once

// Local ports of connections to backends that are spliced.
//
// A spliced flow has no socket, so the kernel does not know that its four-tuple is in use. The port
// of each is therefore held by a socket that is bound and nothing else, with SO_REUSEADDR and in
// both families: that keeps the kernel from choosing it for anybody's connect, as
// __inet_hash_connect() skips ports that somebody has bound, while our own explicit binds with
// SO_REUSEADDR still work.
//
// As a rule the kernel chooses the port of a connection, which costs a short one nothing, and the
// port is held once the connection is about to lose its sockets. Where many are held, new
// connections are bound to held ports whose tuple with their backend is free, so that one descriptor
// serves many backends. Such a tuple rests after its connection for as long as a socket may be in
// TIME_WAIT.
//
// Nothing here blocks; one thread.

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/address/address.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class LocalPorts {
 public:
  struct Limits {
    std::uint32_t holders = 4096;       // One descriptor each.
    std::uint32_t sharing_from = 1024;  // With so many holders, their ports serve others too.
    std::uint64_t rest_ms = 60'000;     // TCP_TIMEWAIT_LEN of include/net/tcp.h.
  };
  struct Counters {
    std::uint64_t shared = 0;
    std::uint64_t exhausted = 0;  // There were as many holders as there may be.
    std::uint64_t refused = 0;  // The kernel did not let the port be held: descriptors, or others.
  };

  explicit LocalPorts(const Limits& limits) : limits_(limits) {}

  // Before connect(): a held port whose tuple with this backend is free, for bind_local_port().
  // nullopt: the kernel is to choose.
  std::optional<std::uint16_t> share(const Endpoint& backend);
  // Before its socket closes: keeps the tuple of a connection whose port the kernel chose and that
  // has SO_REUSEADDR, or of a flow that outlived an earlier process. false: it cannot be kept.
  bool hold(const Endpoint& backend, std::uint16_t port);
  // Gives a tuple of either back. `rest`: its socket may be in TIME_WAIT.
  void release(const Endpoint& backend, std::uint16_t port, bool rest, std::uint64_t now_ms);
  // Ends the rest of those that have rested.
  void expire(std::uint64_t now_ms);

  const Counters& counters() const { return counters_; }
  std::size_t holders() const { return holders_.size(); }

 private:
  struct Holder {
    UniqueFd fd;
    std::uint32_t tuples = 0;  // That live or rest.
    std::size_t place = 0;     // In ports_.
  };
  struct Resting {
    Endpoint backend;
    std::uint16_t port;
    std::uint64_t until_ms;
  };
  struct HashEndpoint {
    std::size_t operator()(const Endpoint& each) const noexcept {
      return std::hash<IpAddress>()(each.ip) ^ (std::size_t{each.port} << 16) ^ each.scope;
    }
  };

  void drop(const Endpoint& backend, std::uint16_t port);

  Limits limits_;
  Counters counters_;
  std::unordered_map<std::uint16_t, Holder> holders_;
  std::vector<std::uint16_t> ports_;  // Those of holders_.
  std::size_t cursor_ = 0;            // Into ports_: the next that is looked at for sharing.
  std::unordered_map<Endpoint, std::unordered_set<std::uint16_t>, HashEndpoint> tuples_;
  std::deque<Resting> resting_;  // By time.
};

// Lets the port be held while this socket, which is not connected yet, has it.
Result<void> allow_holding(int fd);
// Binds a socket that is going to connect to a port of share(), on any address of its family.
Result<void> bind_local_port(int fd, sa_family_t family, std::uint16_t port);

}  // namespace sni
