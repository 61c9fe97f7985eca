#pragma once

// The guard as a whole: the lists of the configuration and of commands, the bans, and both places
// where they hold, at accept (Admission) and in the kernel (XdpGuard).
//
// It belongs to the main thread. A reload builds the new list and the new generation of kernel maps
// in a thread of its own, while commands and bans go on against the running ones; when it is done,
// all commands and bans are applied to the new set before it takes over, so none is lost.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/guard/guard_watch.h"
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

  // Readable when there is something to do; work() also wants to be called every wait_ms().
  int fd() const { return epoll_.get(); }
  int wait_ms() const;
  void work();

  void reload(GuardInput input);
  bool is_rebuilding() const { return build_ != nullptr; }

  // For seconds; nullopt: until it is unblocked. Both return what the operator wants to know.
  Result<void> block(const IpPrefix& prefix, std::optional<std::uint32_t> seconds);
  struct Unblocked {
    bool was_blocked = false;
    bool configured = false;         // The next reload blocks it again.
    std::vector<IpPrefix> bans;      // Lifted.
    std::vector<IpPrefix> still_by;  // Prefixes around it that go on blocking it.
  };
  Result<Unblocked> unblock(const IpPrefix& prefix);

  const Admission& admission() const { return admission_; }
  bool is_commanded(const IpPrefix& prefix) const { return commanded_.contains(prefix); }
  // nullopt: there is no XDP, so nothing is counted by entry.
  std::optional<std::vector<XdpHits>> hits();
  void log_totals() const;

 private:
  Guard(Admission& admission, std::optional<XdpGuard> xdp);
  Result<void> open();
  void start_build(GuardInput input);
  void finish_build();
  void replay(GuardBuild& build, XdpGeneration* generation);
  Result<void> change(const IpPrefix& prefix, const GuardTerm& term);
  XdpGeneration* generation() { return xdp_ ? xdp_->filter().active() : nullptr; }
  void judge_reports(GuardTime now);
  void expire(GuardTime now);

  Admission& admission_;
  std::optional<XdpGuard> xdp_;
  std::optional<LinkWatch> links_;
  UniqueFd epoll_;
  UniqueFd built_;  // An eventfd: a build is done.
  SourceWatch watch_{ConductLimits{}};
  BlockCommands commanded_;
  std::unique_ptr<GuardBuild> build_;
  std::set<IpPrefix> touched_;            // By commands since the build began.
  std::optional<GuardInput> next_input_;  // A reload that came during a build.
  std::jthread retiring_;
  GuardTime expired_at_ = 0;
  std::uint64_t bans_made_ = 0;
  std::uint64_t bans_refused_ = 0;
};

}  // namespace sni
