#pragma once

// Who waits for a place at a backend that takes only so many connections at once.
//
// Theory of operation: the count of a backend's connections is one atomic number, and a place is one
// more of it, taken by compare-and-swap while it is below the bound. Whoever finds it reached, or
// others waiting, may queue. Whoever gives a place back looks whether anybody waits, and only then
// takes the queue's lock and grants the place to who has waited for longest, whatever worker that
// connection belongs to. The number of those who wait stands beside the count, on a line of the cache
// that the count has brought already, so that backends without a bound pay one load.
//
// Nobody is forgotten between the two: who queues says so before it looks at the count a last time,
// and who leaves lowers the count before it looks whether anybody waits (both sequentially
// consistent), so one of them sees the other.
//
// A connection may wait at several backends and gets the first place that comes. It belongs to its
// PlaceWait from the moment it is granted; the bell only tells of it.

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>

namespace sni {

struct BackendEntry;
class PlaceWait;

// Told of a place, by any thread and under the lock of a queue: it passes the news on, no more.
class PlaceBell {
 public:
  virtual void place_granted(std::uint64_t name) = 0;

 protected:
  ~PlaceBell() = default;
};

// Of one backend.
class PlaceQueue {
 public:
  // How many wait: on the cache's line of the backend's count.
  explicit PlaceQueue(std::atomic<std::uint32_t>& waiting) : waiting_(waiting) {}
  PlaceQueue(const PlaceQueue&) = delete;
  PlaceQueue& operator=(const PlaceQueue&) = delete;

  // False: as many wait as may.
  bool join(const BackendEntry& backend, PlaceWait& wait, std::uint32_t waiting_max);
  void leave(const PlaceWait& wait);
  // Grants what places there are.
  void serve(const BackendEntry& backend);

 private:
  void grant(const BackendEntry& backend);
  void tell_size() { waiting_.store(static_cast<std::uint32_t>(waits_.size())); }

  std::atomic<std::uint32_t>& waiting_;
  std::mutex mutex_;
  std::deque<PlaceWait*> waits_;
};

}  // namespace sni
