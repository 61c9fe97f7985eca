#pragma once

// Which of a route's backends a connection takes, and which one next if that fails: the policies of
// `balance` except "first", which needs none of this.
//
//   round_robin        The order in which smooth weighted round robin deals (as nginx does) is laid
//                      out once, and one counter walks through it. Where that backend cannot be
//                      had, the others take over by their weights, not the one that comes next.
//   least_connections  The fewest connections for its weight, from a random start, so that ties
//                      are spread.
//   random_two         Two different ones by their weights, and of these the one with the fewer
//                      connections for its weight: nearly as even as the fewest of all, and workers
//                      that decide at the same moment do not all run to the same backend.
//   source_hash        Rendezvous hashing (Thaler and Ravishankar, 1998) with weights: each backend
//                      draws a score from its own text and the source, the greatest wins. So one
//                      that leaves moves its own clients alone, over all the others, and processes
//                      with the same backends agree.
//
// Nothing is locked: what changes is the turn, and the counts, which belong to the backends.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/address/address.h"
#include "core/config/config.h"
#include "core/limits.h"
#include "core/route/address_loads.h"

namespace sni {

// As the configuration names it.
const char* to_string(Balance policy);

// The properties of a connection that a policy uses.
struct BalanceClient {
  std::uint64_t random = 0;  // New for each connection.
  std::uint64_t source = 0;  // source_key() of its address.
  std::uint32_t turn = 0;    // Balancer::take_turn().
};

// IPv6 clients change their address within their own /64 (RFC 8981), so their key is the /64.
std::uint64_t source_key(const IpAddress& source);

// A set of a route's backends has a bit for each. The first `count` of them, at least one.
constexpr std::uint64_t first_backends(std::size_t count) {
  return UINT64_MAX >> (limits::route_backends_max - count);
}

class Balancer {
 public:
  struct Share {
    std::uint32_t weight = 1;
    std::uint64_t seed = 0;  // The backend's, the same in every process.
    const std::atomic<std::uint32_t>* connections = nullptr;  // Outlives the balancer.
  };

  // The first `primaries` of the shares are not backups. At most limits::route_backends_max.
  Balancer(Balance policy, std::vector<Share> shares, std::size_t primaries);

  Balance policy() const { return policy_; }
  std::uint32_t take_turn() const { return turn_.fetch_add(1, std::memory_order_relaxed); }
  // The next one to try; `left` (not 0) has a bit for each that is left.
  std::size_t choose(std::uint64_t left, const BalanceClient& client) const;

 private:
  std::size_t by_weight(std::uint64_t left, std::uint64_t random) const;
  std::size_t least(std::uint64_t left, std::uint64_t random) const;
  std::size_t less_of_two(std::uint64_t left, std::uint64_t random) const;
  std::size_t by_source(std::uint64_t left, std::uint64_t source) const;
  bool has_less(std::size_t one, std::size_t other) const;

  Balance policy_;
  std::vector<Share> shares_;
  std::vector<std::uint8_t> schedule_;  // round_robin: whose turn it is.
  alignas(64) mutable std::atomic<std::uint32_t> turn_{0};
};

// The index of the address (of at least one) to begin with, by the same policy without weights; 0
// if the turn decides. `loads` may be null: nothing is counted.
std::size_t choose_address(Balance policy, std::span<const IpAddress> addresses,
                           const BalanceClient& client, const AddressLoads* loads);

// The order in which smooth weighted round robin deals, once through.
std::vector<std::uint8_t> smooth_schedule(std::span<const std::uint32_t> weights);

}  // namespace sni
