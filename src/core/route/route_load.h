#pragma once

// How many connections a route has over all workers, if it limits them. The count is identified by
// the route's names and listeners (core/route/backend_table.h), so that a reload keeps it, and a
// limit that a reload sets holds at once for connections of earlier configurations too.

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace sni {

struct RouteLoad {
  // The limit in the running configuration; 0: unlimited, and connections are not counted.
  std::atomic<std::uint32_t> connections_max{0};
  // Has a cache line of its own: all workers change it.
  alignas(64) std::atomic<std::uint32_t> connections{0};
};

// A connection's place among those of its route.
class RoutePlace {
 public:
  RoutePlace() = default;  // Counted nowhere.
  // nullopt: the route has `max` connections. `load` outlives the place.
  static std::optional<RoutePlace> take(RouteLoad& load, std::uint32_t max) {
    if (load.connections.fetch_add(1, std::memory_order_relaxed) < max) return RoutePlace(load);
    load.connections.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  // For a connection that is older than the limit, or that an earlier process accepted: counted
  // regardless of the limit.
  static RoutePlace adopt(RouteLoad& load) {
    load.connections.fetch_add(1, std::memory_order_relaxed);
    return RoutePlace(load);
  }
  bool is_counted() const { return load_ != nullptr; }
  RoutePlace(RoutePlace&& other) noexcept : load_(std::exchange(other.load_, nullptr)) {}
  RoutePlace& operator=(RoutePlace&& other) noexcept {
    std::swap(load_, other.load_);
    return *this;
  }
  ~RoutePlace() {
    if (load_ != nullptr) load_->connections.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  explicit RoutePlace(RouteLoad& load) : load_(&load) {}

  RouteLoad* load_ = nullptr;
};

}  // namespace sni
