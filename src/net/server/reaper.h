#pragma once

// Frees large objects in a thread of its own. The last owner of an old snapshot is often a worker,
// and 100,000 routes take a third of a second to free, during which its connections would stall.
//
// Freed memory goes back to the system (malloc_trim): a reload needs memory for the old and the new
// configuration at once, and the heap would keep both.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sni {

class Reaper {
 public:
  Reaper();
  // Frees what is queued.
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // A pointer whose last owner, on any thread, hands the object to this reaper, which must outlive
  // all owners.
  template <typename T>
  std::shared_ptr<const T> own(T object) {
    return {new T(std::move(object)),
            [this](const T* last) { take(std::shared_ptr<const T>(last)); }};
  }
  // Whether anything was freed since the last call.
  bool has_freed() { return freed_.exchange(false); }
  // Gives back what others have freed.
  void trim() { take(nullptr); }

 private:
  using Garbage = std::vector<std::shared_ptr<const void>>;

  void take(std::shared_ptr<const void> object);
  void run(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any filled_;
  Garbage garbage_;
  std::atomic<bool> freed_{false};
  std::jthread thread_;  // Ends first.
};

}  // namespace sni
