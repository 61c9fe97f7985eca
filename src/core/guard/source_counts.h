#pragma once

// Open connections per source address, for limits.connections_per_source. Shared by all workers,
// and used only if that limit is set. IPv6 counts by /64 (core/address/source.h).

#include <array>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "core/address/source.h"

namespace sni {

class SourceCounts {
 public:
  // Counts one more connection unless the source has `max` already.
  bool acquire(const IpAddress& address, std::uint32_t max) {
    const IpAddress key = source_of(address, ipv6_source_bits).base;
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    std::uint32_t& count = shard.counts[key];
    if (count >= max) return false;
    ++count;
    return true;
  }

  void release(const IpAddress& address) {
    const IpAddress key = source_of(address, ipv6_source_bits).base;
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.counts.find(key);
    if (found != shard.counts.end() && --found->second == 0) shard.counts.erase(found);
  }

 private:
  static constexpr std::uint8_t ipv6_source_bits = 64;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<IpAddress, std::uint32_t> counts;
  };

  Shard& shard_of(const IpAddress& key) {
    return shards_[std::hash<IpAddress>{}(key) % shards_.size()];
  }

  std::array<Shard, 16> shards_;
};

}  // namespace sni
