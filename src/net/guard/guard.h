#pragma once

// The guard as a whole: the lists of the configuration and of commands, the bans, and both places
// where they apply, at accept (Admission) and in the kernel (XdpGuard).
//
// It belongs to the main thread. A reload builds the new list and the new generation of kernel maps
// in a thread of its own, while commands and bans apply to the running ones. At the end all
// commands and bans are applied to the new set before it takes over, so none is lost.
//
// Commands change the running list one after the other. For a long list a thread plans the change,
// since the time depends on the list's length; the next command and a new list wait until the plan
// is committed. All commands that expire together are one plan.

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/guard/guard_watch.h"
#include "core/metrics/metrics_text.h"
#include "net/guard/admission.h"
#include "net/guard/guard_build.h"
#include "net/guard/xdp_guard.h"
#include "net/server/link_watch.h"

namespace sni {

class Guard {
 public:
  // `admission` outlives the guard.
  static Result<std::unique_ptr<Guard>> start(Admission& admission, const XdpConfig& xdp,
                                              GuardInput input);
  ~Guard();

  // Readable when work() has something to do; work() must also be called every wait_ms().
  int fd() const { return epoll_.get(); }
  int wait_ms() const;
  void work();

  void reload(GuardInput input);
  bool is_rebuilding() const { return build_ != nullptr; }
  // Calls `done` when the newest lists are in force: now, or later from work().
  void when_in_force(std::function<void()> done);

  // Blocks for seconds; nullopt: until unblocked. Both report the result when it is in force:
  // immediately, or later from work().
  void block(const IpPrefix& prefix, std::optional<std::uint32_t> seconds,
             std::function<void(Result<void>)> done);
  struct Unblocked {
    bool was_blocked = false;
    bool configured = false;         // The next reload blocks it again.
    std::vector<IpPrefix> bans;      // Lifted.
    std::vector<IpPrefix> still_by;  // Enclosing prefixes that still block it.
  };
  void unblock(const IpPrefix& prefix, std::function<void(Result<Unblocked>)> done);

  const Admission& admission() const { return admission_; }
  const std::optional<XdpGuard>& xdp() const { return xdp_; }
  // Why there is no XDP; empty: there is.
  const std::string& xdp_missing() const { return xdp_missing_; }
  bool is_commanded(const IpPrefix& prefix) const { return commanded_.contains(prefix); }
  // nullopt: without XDP nothing is counted by entry.
  std::optional<std::vector<XdpHits>> hits();
  void log_totals() const;
  // Packets dropped by XDP so far, by reason; empty without XDP.
  std::vector<XdpDrops> xdp_drops() const;

 private:
  Guard(Admission& admission, LoadedXdp xdp);
  Result<void> open();
  void start_build(GuardInput input);
  void finish_build();
  void replay(GuardBuild& build, XdpGeneration* generation);
  void install(XdpGeneration& generation, const Ban& ban) const;
  // One change of the running list.
  struct Step {
    // Called when its turn comes: what to replace in the list.
    std::function<std::vector<GuardEntry>()> begin;
    std::function<void(Result<void>)> done;  // Called when it is in force or has failed.
  };
  struct Planning {
    std::vector<GuardEntry> terms;
    GuardList::Plan plan;
    std::function<void(Result<void>)> done;
    std::atomic<bool> ready{false};
    std::jthread thread;
  };
  void submit(Step step);
  void advance();
  void finish_plan();
  Result<void> install(GuardList::Plan& plan, const std::vector<GuardEntry>& terms);
  Result<BlockCommand> command_for(const IpPrefix& prefix, std::optional<std::uint32_t> seconds);
  std::vector<GuardEntry> take_expired(GuardTime now);
  XdpGeneration* generation() { return xdp_ ? xdp_->filter().active() : nullptr; }
  void judge_reports(GuardTime now);
  void expire(GuardTime now);

  Admission& admission_;
  std::optional<XdpGuard> xdp_;
  std::string xdp_missing_;
  std::optional<LinkWatch> links_;
  UniqueFd epoll_;
  UniqueFd built_;  // An eventfd: a build or a plan is done.
  SourceWatch watch_{ConductLimits{}};
  std::vector<IpPrefix> proxies_;
  BlockCommands commanded_;
  // Entries that `unblock` removed from the configuration's list, until a reload restores them.
  std::map<IpPrefix, GuardTerm> lifted_;
  std::deque<Step> steps_;              // Waiting for their turn.
  std::unique_ptr<Planning> planning_;  // The current step, while a thread plans it.
  bool expiring_ = false;               // A step that ends commands is under way.
  std::unique_ptr<GuardBuild> build_;
  std::set<IpPrefix> touched_;            // Changed by commands since the build began.
  std::optional<GuardInput> next_input_;  // A reload that came during a build.
  std::vector<std::function<void()>> in_force_;
  std::jthread retiring_;
  GuardTime expired_at_ = 0;
  std::uint64_t bans_made_ = 0;
  std::uint64_t bans_refused_ = 0;
};

}  // namespace sni
