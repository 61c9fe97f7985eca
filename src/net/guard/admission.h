#pragma once

// Whether a source is admitted: the lists and bans that all workers share, and the mailbox in which
// workers report the conduct of sources.
//
// Workers read under a shared lock. Only the main thread changes anything. It prepares changes
// first and holds the lock only to install them, so no worker waits for a list to be built.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "core/guard/guard_bans.h"
#include "core/guard/guard_list.h"
#include "core/guard/guard_watch.h"
#include "core/session/counters.h"

namespace sni {

// CLOCK_BOOTTIME in seconds, the clock of the kernel's side of the guard.
GuardTime guard_now();

class Admission {
 public:
  struct Report {
    IpAddress source;
    Conduct conduct;
  };

  Admission();

  // Thread-safe.
  std::optional<Refusal> refuses(const IpAddress& source) const;
  void report(const IpAddress& source, Conduct conduct);

  // For the main thread.
  const GuardList& list() const { return *list_; }
  const BanTable& bans() const { return bans_; }
  // Installs a new list and returns the old one, which takes a while to free if it is long.
  std::unique_ptr<GuardList> adopt(std::unique_ptr<GuardList> list, bool default_allow);
  void commit(GuardList::Plan& plan);
  void adopt(const BanPolicy& policy);
  std::optional<Ban> ban(const IpAddress& source, GuardTime now);
  std::vector<IpPrefix> lift(const IpPrefix& prefix);
  std::vector<IpPrefix> expire_bans(GuardTime now);

  // Reports are kept only while someone wants them.
  void watch(bool on) { watching_.store(on, std::memory_order_relaxed); }
  bool is_watching() const { return watching_.load(std::memory_order_relaxed); }
  std::vector<Report> take_reports();
  std::uint64_t reports_lost() const;

 private:
  mutable std::shared_mutex mutex_;
  std::unique_ptr<GuardList> list_;
  BanTable bans_;
  bool default_allow_ = true;

  std::atomic<bool> watching_{false};
  mutable std::mutex reports_mutex_;
  std::vector<Report> reports_;
  std::uint64_t reports_lost_ = 0;
};

}  // namespace sni
