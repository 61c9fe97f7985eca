#pragma once

// Plain counters, one set per worker. One thread writes; any thread may read and sum them. They are
// relaxed atomics, and an increment is a store instead of a locked add, since there is only one
// writer. core/session/totals.h makes the table of all published counters.

#include <array>
#include <atomic>
#include <cstdint>

#include "core/session/session.h"

namespace sni {

class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A histogram of durations in milliseconds of the loop's clock: counts by bounds (inclusive,
// rising; the last bucket has no bound) and the sum.
template <const auto& bounds>
class Histogram {
 public:
  void add(std::uint64_t ms) {
    std::size_t bucket = 0;
    while (bucket < bounds.size() && ms > bounds[bucket]) ++bucket;
    buckets_[bucket].add();
    sum_ms_.add(ms);
  }
  std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  std::uint64_t sum_ms() const { return sum_ms_.value(); }

 private:
  std::array<Counter, bounds.size() + 1> buckets_;
  Counter sum_ms_;
};
inline constexpr std::array<std::uint32_t, 13> set_up_bounds_ms{
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000};
inline constexpr std::array<std::uint32_t, 10> life_bounds_ms{
    10, 100, 1'000, 5'000, 30'000, 60'000, 600'000, 3'600'000, 21'600'000, 86'400'000};
using SetUpTimes = Histogram<set_up_bounds_ms>;
using LifeTimes = Histogram<life_bounds_ms>;

// Why an accepted socket was closed at once.
enum class Refusal : std::uint8_t {
  blocked,      // On the blocklist.
  banned,       // By the proxy itself.
  not_allowed,  // default = "deny".
  connections,
  connections_per_source,
  pending_hellos,
};
inline constexpr std::size_t refusals = static_cast<std::size_t>(Refusal::pending_hellos) + 1;
inline const char* to_string(Refusal refusal) {
  static constexpr const char* names[] = {"blocked",
                                          "banned",
                                          "not_allowed",
                                          "limits.connections",
                                          "limits.connections_per_source",
                                          "limits.pending_hellos"};
  static_assert(std::size(names) == refusals);
  return names[static_cast<std::size_t>(refusal)];
}

// Why a pair that was offered to the kernel stays in the userspace relay.
enum class PlaneDecline : std::uint8_t {
  no_slot,
  not_on_this_host,
  not_known,
  blocking,
  half_closed,
  map_full,
  not_insertable,
};
inline constexpr std::size_t plane_declines =
    static_cast<std::size_t>(PlaneDecline::not_insertable) + 1;
inline const char* to_string(PlaneDecline reason) {
  static constexpr const char* names[] = {"no slot is free",
                                          "the backend is not on this host",
                                          "the backend is not known yet",
                                          "the backend uses blocking sockets",
                                          "a side has sent its FIN already",
                                          "a map is full",
                                          "the kernel does not take the socket"};
  static_assert(std::size(names) == plane_declines);
  return names[static_cast<std::size_t>(reason)];
}

// Why a connection is not joined at packet level, in the order of packet_decline in
// bpf/packet/packet_shared.h.
enum class PacketDecline : std::uint8_t {
  taken,
  off,
  not_tcp,
  source,
  full,
  port,
  route,
  device,
  unseen,
  options,
  ecn,
  odd_options,
  mss,
  far,
  promise,
  busy,
  closing,
  refused,
};
inline constexpr std::size_t packet_declines = static_cast<std::size_t>(PacketDecline::refused) + 1;
inline const char* to_string(PacketDecline reason) {
  static constexpr const char* names[] = {
      "taken",
      "the plane is off",
      "the backend is not a TCP address",
      "the route chooses where the connection comes from",
      "the table of flows is full",
      "its local port cannot be kept from others (descriptors?)",
      "no hooked interface on the route",
      "an interface of an untried kind",
      "packets do not arrive under the expected addresses (NAT?)",
      "timestamps, SACK or window scaling on one side only",
      "ECN on one side only",
      "TCP options that are not understood",
      "segments of one side do not fit the path of the other",
      "the client is far from a near backend (packet_far_clients)",
      "one side was promised more than the other has room for",
      "bytes stay unacknowledged",
      "the connection is closing",
      "the kernel refused"};
  static_assert(std::size(names) == packet_declines);
  return names[static_cast<std::size_t>(reason)];
}

// Counts of the local ports that connections to backends share or hold.
struct PortCounts {
  Counter shared;
  Counter exhausted;  // Failures at the maximum of holders.
  Counter refused;    // Ports that the kernel did not let us hold, for want of descriptors or so.
};

// Counts of a worker's packet plane.
struct PacketCounts {
  PortCounts ports;
  Counter taken;                                  // Connections handed over.
  Counter broken;                                 // Hand-overs that ended in a reset of both sides.
  std::array<Counter, packet_declines> declined;  // Connections that stay in the relay for good.
};

// Counts of a worker's resolver.
struct DnsCounters {
  Counter questions;    // Names that were asked of the resolvers.
  Counter merged;       // Callers that joined a question under way.
  Counter cache_hits;   // Callers answered from the cache, negative answers included.
  Counter shared_hits;  // Callers answered from the map that workers share.
  Counter stale;        // Callers answered with a stale answer, from the cache or later.
  Counter not_found;    // Questions that ended so.
  Counter failed;       // Questions that ended so.
  Counter overloaded;   // Callers turned away: too many questions or waiters.
};

struct Counters {
  Counter accepted;
  std::array<Counter, refusals> refused;
  std::array<Counter, end_reasons> ended;
  Counter bytes_to_backend;   // Of connections that have ended.
  Counter bytes_to_client;    // Likewise; answers of our own are not counted.
  Counter accept_errors;      // accept() failed: out of descriptors or memory.
  Counter races_put_off;      // Further connects of a connection that waited for descriptors.
  Counter receives_deferred;  // -EAGAIN or -ENOBUFS: armed again.
  Counter readers_stalled;    // A send found the reader's window shut.
  Counter splices_evicted;    // Kernel pipes taken from stalled readers for others.
  Counter planes_taken;       // Pairs handed to the kernel.
  std::array<Counter, plane_declines> planes_declined;
  PacketCounts packet;
  DnsCounters dns;
  SetUpTimes hello_times;    // From accept to a complete hello.
  SetUpTimes resolve_times;  // Of names not in the cache, answered or not.
  SetUpTimes connect_times;  // Of attempts that reached their backend.
  LifeTimes life_times;      // From accept to the end.
};

}  // namespace sni
