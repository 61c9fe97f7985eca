#pragma once

// How many connections a route has over all workers, if it limits them. The count is identified by
// the route's names and listeners (core/route/backend_table.h), so that a reload keeps it, and a
// limit that a reload sets holds at once for connections of earlier configurations too.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace sni {

// Every route has one, and most routes have no limit: the count comes with the first limit.
class RouteLoad {
 public:
  // Has a cache line of its own: all workers change it.
  struct alignas(64) Count {
    std::atomic<std::uint32_t> connections{0};
  };

  // Sets the limit of the running configuration; 0: unlimited, and connections are not counted. For
  // one thread. Returns whether there was none.
  bool bound(std::uint32_t connections_max) {
    if (connections_max != 0 && count_ == nullptr) count_ = std::make_unique<Count>();
    return connections_max_.exchange(connections_max, std::memory_order_release) == 0;
  }
  std::uint32_t connections_max() const { return connections_max_.load(std::memory_order_acquire); }
  // After connections_max() was not 0.
  Count& count() { return *count_; }

 private:
  std::atomic<std::uint32_t> connections_max_{0};
  std::unique_ptr<Count> count_;
};

// A connection's place among those of its route.
class RoutePlace {
 public:
  RoutePlace() = default;  // Counted nowhere.
  // nullopt: the route has `max` connections. `count` outlives the place.
  static std::optional<RoutePlace> take(RouteLoad::Count& count, std::uint32_t max) {
    if (count.connections.fetch_add(1, std::memory_order_relaxed) < max) return RoutePlace(count);
    count.connections.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  // For a connection that is older than the limit, or that an earlier process accepted: counted
  // regardless of the limit.
  static RoutePlace adopt(RouteLoad::Count& count) {
    count.connections.fetch_add(1, std::memory_order_relaxed);
    return RoutePlace(count);
  }
  bool is_counted() const { return count_ != nullptr; }
  RoutePlace(RoutePlace&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  RoutePlace& operator=(RoutePlace&& other) noexcept {
    std::swap(count_, other.count_);
    return *this;
  }
  ~RoutePlace() {
    if (count_ != nullptr) count_->connections.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  explicit RoutePlace(RouteLoad::Count& count) : count_(&count) {}

  RouteLoad::Count* count_ = nullptr;
};

}  // namespace sni
