#pragma once

// Backends with an identity: one entry for each distinct backend over all routes and reloads, kept
// as long as a route or a connection refers to it. An entry holds the state of a backend that
// survives a reload. Its id is never reused in this process. The counts of routes' connections are
// kept here in the same way.
//
// The table belongs to the thread that builds routing tables. Entries may be read from any thread;
// their mutable fields are atomic.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/config/config.h"
#include "core/route/address_loads.h"
#include "core/route/place_queue.h"
#include "core/route/route_load.h"
#include "core/weak_table.h"

namespace sni {

using BackendId = std::uint64_t;  // From 1.

struct BackendEntry {
  BackendEntry(BackendId given_id, const Backend& given);

  const BackendId id;
  const Backend backend;     // Without the fields that its route sets.
  const std::uint64_t seed;  // Derived from its text: the same in every process.
  // Disabled by command: it gets no new connections and keeps those that it has.
  mutable std::atomic<bool> disabled{false};
  // Counts connections, so that each begins with the next of the backend's addresses.
  mutable std::atomic<std::uint32_t> turn{0};
  // Connections that another backend has served in its place since the last log line about it, and
  // the time of that line; 0: never.
  mutable std::atomic<std::uint32_t> failovers{0};
  mutable std::atomic<std::uint64_t> failover_told_ms{0};
  // When the log last reported that all of a route's other backends are out too; 0: never.
  mutable std::atomic<std::uint64_t> all_out_told_ms{0};
  // Connections to each of its addresses, if a route needs them; set at most once.
  mutable std::atomic<AddressLoads*> addresses{nullptr};
  // Its limit of concurrent connections in the running configuration; 0: unlimited.
  mutable std::atomic<std::uint32_t> connections_max{0};
  mutable PlaceQueue queue{waiting};
  // Connections to it, including those being set up, and connections that wait for a place. They
  // have a cache line of their own.
  alignas(64) mutable std::atomic<std::uint32_t> connections{0};
  mutable std::atomic<std::uint32_t> waiting{0};

  // Takes a place for a new connection; false: there is none, or others wait for one.
  bool enter() const { return waiting.load() == 0 && count_one_more(); }
  // Counts one more connection, if the limit allows it.
  bool count_one_more() const;
  // Counts one less. A waiting connection gets the place.
  void leave() const {
    connections.fetch_sub(1);
    if (waiting.load() != 0) queue.serve(*this);
  }

  // Creates `addresses` if the backend is a name. For the table's thread only.
  void count_addresses() const;

  BackendEntry(const BackendEntry&) = delete;
  BackendEntry& operator=(const BackendEntry&) = delete;

 private:
  mutable std::unique_ptr<AddressLoads> own_addresses_;
};
using BackendRef = std::shared_ptr<const BackendEntry>;

class BackendTable {
 public:
  // The entry of this backend, a new one if there is none.
  BackendRef intern(const Backend& backend);
  // The count of a route with these listeners, names and protocols.
  std::shared_ptr<RouteLoad> load_of(const RouteConfig& route);
  // All entries in use, sorted by id.
  std::vector<BackendRef> named() const;
  // Replaces all limits of connections to backends by those of the configuration.
  void bound_connections(std::span<const RouteConfig> routes) const;
  template <typename Visit>
  void for_each_load(Visit&& visit) const {
    loads_.for_each(visit);
  }
  // Forgets entries and counts that nobody uses any more, which take memory until then.
  void sweep() {
    entries_.sweep();
    loads_.sweep();
  }
  // Counts entries in use and some that were in use until recently.
  std::size_t size() const { return entries_.size(); }

 private:
  WeakTable<const BackendEntry> entries_;
  WeakTable<RouteLoad> loads_;
  BackendId last_id_ = 0;
};

}  // namespace sni
