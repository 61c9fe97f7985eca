#pragma once

// Theory of operation: the connects that one connection has under way, each with a socket, an
// address that the kernel reads, a place on the planes and a count at its backend of its own. Their
// number is bounded (limits::attempts_max). An attempt stays here until its completion is there,
// whatever has become of it: cancelled ones too, so that nothing is closed or freed that the kernel
// still has. Which of them wins is the session's to say: the first that is answered.

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/limits.h"
#include "net/connect/target.h"
#include "net/connect/upstream_dialog.h"
#include "net/flow/flow_settings.h"
#include "net/loop/loop.h"
#include "net/loop/sockets.h"

namespace sni {

class Attempts {
 public:
  // All outlive the attempts.
  Attempts(Loop& loop, Sockets& sockets, Flow& flow, const FlowSettings& settings)
      : loop_(loop), sockets_(sockets), flow_(flow), settings_(settings) {}

  // What became of one.
  struct Result {
    Target target;
    int sys_errno = 0;  // 0: it is connected.
    // In place of sys_errno: our own end of it cannot be had, or, `reached`, what the upstream says.
    AttemptError error = AttemptError::none;
    bool reached = false;
    std::uint64_t lasted_ms = 0;
    bool outrun = false;  // It was cancelled, since another one has won.
    bool in_time = true;  // timeouts.setup left it all of timeouts.connect.
  };

  // Begins one to `target`; `unix_path` where that is one, else empty. `asked` is for the route's
  // upstream, where it has one. `until_ms`: when its time is over at the latest. A result: it has
  // failed at once.
  std::optional<Result> start(const Target& target, std::string_view unix_path, BackendLease lease,
                              const SocksTarget& asked, std::uint64_t until_ms);
  // nullopt: another connect to the same address has begun.
  std::optional<Result> on_completion(const Completion& completion);
  // The completed one that has won: its socket and its lease become those of the connection, and its
  // place on the planes that of the caller.
  PlanePair take(const Completion& completion);

  // Cancels those whose time is over,
  void give_up();
  // all others, since one has won,
  void outrun();
  // or all that are left, since the connection ends.
  void cancel_all();
  // The planes forget them. None is in flight any more.
  void release();

  // When the time of one is over next, and when another may begin beside the last one.
  std::uint64_t over_at_ms();
  std::uint64_t next_due_ms() const { return next_due_ms_; }
  // It has been said.
  void forget_next_due() { next_due_ms_ = UINT64_MAX; }

 private:
  struct Attempt {
    bool under_way = false;
    bool cancelled = false;
    bool outrun = false;
    Target target;
    UniqueFd socket;
    BackendLease lease;
    PlanePair pair;
    std::unique_ptr<UpstreamDialog> dialog;  // With the route's upstream, once it is connected.
    bool talks = false;                      // The connect is over, and the dialog is not.
    std::uint64_t begun_ms = 0;
    std::uint64_t until_ms = 0;
    sockaddr_storage address{};  // Read by the kernel until the connect completes.
  };

  // The first is enough for most connections, so that the others are made when they are needed.
  Attempt& at(std::size_t number) { return number == 0 ? first_ : (*others_)[number - 1]; }
  std::size_t count() const { return others_ == nullptr ? 1 : limits::attempts_max; }
  std::size_t free_number();
  OpTag tag_of(std::size_t number) const;
  std::optional<Result> connect(std::size_t number, bool announced);
  std::optional<Result> on_dialog(std::size_t number, std::int32_t result);
  Result end(Attempt& attempt, std::int32_t result);
  Result refused(Attempt& attempt, AttemptError error, bool reached);
  void cancel(std::size_t number);

  Loop& loop_;
  Sockets& sockets_;
  Flow& flow_;
  const FlowSettings& settings_;
  std::uint64_t next_due_ms_ = UINT64_MAX;
  Attempt first_;
  std::unique_ptr<std::array<Attempt, limits::attempts_max - 1>> others_;
};

}  // namespace sni
