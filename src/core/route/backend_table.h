#pragma once

// Backends with an identity: one entry for each distinct backend, over all routes and reloads, kept
// for as long as a route or a connection names it. An entry is where that lives which is known of a
// backend and does not change with a reload. Its id is never given to another one in this process.
// The counts of routes that bound their connections live here in the same way.
//
// The table belongs to the thread that builds routing tables; entries may be read from any thread,
// and what of them changes is atomic.

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
  const Backend backend;     // Without what a route makes of it.
  const std::uint64_t seed;  // Of its text: the same in every process.
  // By command: it gets no new connections, and keeps those that it has.
  mutable std::atomic<bool> disabled{false};
  // Counts connections, so that each begins with another one of the backend's addresses.
  mutable std::atomic<std::uint32_t> turn{0};
  // Connections that another one has served in its place since the log told of it, and when it did;
  // 0: never.
  mutable std::atomic<std::uint32_t> failovers{0};
  mutable std::atomic<std::uint64_t> failover_told_ms{0};
  // When the log told last that everything is out which a route has beside it; 0: never.
  mutable std::atomic<std::uint64_t> all_out_told_ms{0};
  // Connections to each of its addresses, where a route wants to know: set once, then never again.
  mutable std::atomic<AddressLoads*> addresses{nullptr};
  // Connections that it may have at once, by the running configuration; 0: any number.
  mutable std::atomic<std::uint32_t> connections_max{0};
  mutable PlaceQueue queue{waiting};
  // Connections to it, those that are on their way among them, and those that wait for a place.
  // Alone on their line of the cache.
  alignas(64) mutable std::atomic<std::uint32_t> connections{0};
  mutable std::atomic<std::uint32_t> waiting{0};

  // A place for a newcomer; false: there is none, or others wait for one.
  bool enter() const { return waiting.load() == 0 && count_one_more(); }
  // One more, if that many are allowed.
  bool count_one_more() const;
  // One less: who waits gets the place.
  void leave() const {
    connections.fetch_sub(1);
    if (waiting.load() != 0) queue.serve(*this);
  }

  // From now on `addresses` is there, if it is a name. By the table's thread.
  void count_addresses() const;

  BackendEntry(const BackendEntry&) = delete;
  BackendEntry& operator=(const BackendEntry&) = delete;

 private:
  mutable std::unique_ptr<AddressLoads> own_addresses_;
};
using BackendRef = std::shared_ptr<const BackendEntry>;

class BackendTable {
 public:
  // The entry of this backend, a new one if nobody names it.
  BackendRef intern(const Backend& backend);
  // The count of a route with these listeners, names and protocols.
  std::shared_ptr<RouteLoad> load_of(const RouteConfig& route);
  // Those that somebody names, by their ids.
  std::vector<BackendRef> named() const;
  // From now on the configuration's bounds of connections hold, and no others.
  void bound_connections(std::span<const RouteConfig> routes) const;
  // Entries that are named, and some that were until lately.
  std::size_t size() const { return entries_.size(); }

 private:
  WeakTable<const BackendEntry> entries_;
  WeakTable<RouteLoad> loads_;
  BackendId last_id_ = 0;
};

}  // namespace sni
