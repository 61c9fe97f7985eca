#pragma once

// Backends with an identity: one entry for each distinct backend, over all routes and reloads, kept
// for as long as a route or a connection names it. An entry is where that lives which is known of a
// backend and does not change with a reload. Its id is never given to another one in this process.
//
// The table belongs to the thread that builds routing tables; entries may be read from any thread,
// and what of them changes is atomic.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "core/config/config.h"

namespace sni {

using BackendId = std::uint64_t;  // From 1.

struct BackendEntry {
  BackendEntry(BackendId given_id, const Backend& given) : id(given_id), backend(given) {}

  const BackendId id;
  const Backend backend;
  // Counts connections, so that each begins with another one of the backend's addresses.
  mutable std::atomic<std::uint32_t> turn{0};
  // Connections that another one has served in its place since the log told of it, and when it did;
  // 0: never.
  mutable std::atomic<std::uint32_t> failovers{0};
  mutable std::atomic<std::uint64_t> failover_told_ms{0};
};
using BackendRef = std::shared_ptr<const BackendEntry>;

class BackendTable {
 public:
  // The entry of this backend, a new one if nobody names it.
  BackendRef intern(const Backend& backend);
  // Entries that are named, and some that were until lately.
  std::size_t size() const { return entries_.size(); }

 private:
  void sweep();

  std::unordered_map<std::string, std::weak_ptr<const BackendEntry>> entries_;
  std::size_t sweep_at_ = 64;  // Entries; those that nobody names are looked for then.
  BackendId last_id_ = 0;
};

}  // namespace sni
