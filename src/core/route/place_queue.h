#pragma once

// The queue of connections that wait for a place at a backend with a limit of connections.
//
// Theory of operation: the count of a backend's connections is an atomic number. A connection takes
// a place by incrementing it with compare-and-swap while it is below the limit. A connection that
// finds the limit reached, or others waiting, may queue. When a connection leaves, it looks whether
// any others wait. Only then does it take the queue's lock and grant the place to the one that has
// waited longest, on whatever worker. The number of waiters is on the same cache line as the count,
// so backends without a limit pay one load.
//
// No wake-up is lost. A connection that queues increments the number of waiters before its last
// look at the count, and one that leaves decrements the count before it looks at the waiters. Both
// are sequentially consistent, so one of them sees the other.
//
// A connection may wait at several backends and gets the first place that is granted. The place
// belongs to its PlaceWait from that moment; the bell only notifies it.

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>

namespace sni {

struct BackendEntry;
class PlaceWait;

// Notified of a place, by any thread and under the lock of a queue, so it must only pass the news
// on.
class PlaceBell {
 public:
  virtual void place_granted(std::uint64_t name) = 0;

 protected:
  ~PlaceBell() = default;
};

// The queue of one backend.
class PlaceQueue {
 public:
  // `waiting` is the number of waiters, on the cache line of the backend's count.
  explicit PlaceQueue(std::atomic<std::uint32_t>& waiting) : waiting_(waiting) {}
  PlaceQueue(const PlaceQueue&) = delete;
  PlaceQueue& operator=(const PlaceQueue&) = delete;

  // False: the queue is full.
  bool join(const BackendEntry& backend, PlaceWait& wait, std::uint32_t waiting_max);
  void leave(const PlaceWait& wait);
  // Grants all free places.
  void serve(const BackendEntry& backend);

 private:
  void grant(const BackendEntry& backend);
  void tell_size() { waiting_.store(static_cast<std::uint32_t>(waits_.size())); }

  std::atomic<std::uint32_t>& waiting_;
  std::mutex mutex_;
  std::deque<PlaceWait*> waits_;
};

}  // namespace sni
