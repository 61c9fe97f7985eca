#pragma once

// Theory of operation: the connects of one connection that are under way. Each has its own socket,
// address memory that the kernel reads, place on the planes and count at its backend. Their number
// is bounded for each connection (limits::attempts_max), and those beside a first one for the worker
// (FlowSettings::races_max), since each has a descriptor besides the connection's own two. Every
// attempt, even a cancelled one, stays here until its completion, so that nothing is closed or freed
// while the kernel uses it. The session decides which one wins: the first that is answered.

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

  // The result of one.
  struct Result {
    Target target;
    int sys_errno = 0;  // 0: it is connected.
    // Instead of sys_errno: our own end could not be set up, or, with `reached`, the upstream's
    // error.
    AttemptError error = AttemptError::none;
    // The upstream has answered; so if no reply came in time, the backend behind it is silent.
    bool reached = false;
    std::uint64_t lasted_ms = 0;
    bool outrun = false;  // It was cancelled because another one won.
    bool in_time = true;  // It had the whole of timeouts.connect, uncut by timeouts.setup.
  };

  // Begins one to `target`; `unix_path` is its path if it is a UNIX socket, else empty. `asked` is
  // for the route's upstream, if it has one. `until_ms`: its latest deadline. A result: it failed
  // at once.
  std::optional<Result> start(const Target& target, std::string_view unix_path, BackendLease lease,
                              const SocksTarget& asked, std::uint64_t until_ms);
  // nullopt: another connect to the same address has begun.
  std::optional<Result> on_completion(const Completion& completion);
  // Takes the completed one that has won: the connection gets its socket and lease, and the caller
  // its place on the planes.
  PlanePair take(const Completion& completion);

  // Cancels those that are overdue,
  void give_up();
  // all others, since one has won,
  void outrun();
  // or all that are left, since the connection ends.
  void cancel_all();
  // Releases their places on the planes. None may be in flight.
  void release();

  // The next deadline of an attempt, and when another may begin beside the last one.
  std::uint64_t over_at_ms();
  std::uint64_t next_due_ms() const { return next_due_ms_; }
  // Whether the attempt that is due may begin. It is due again later if all descriptors for that are
  // in use.
  bool take_next_due();

 private:
  struct Attempt {
    bool under_way = false;
    bool cancelled = false;
    bool outrun = false;
    Target target;
    UniqueFd socket;
    BackendLease lease;
    PlanePair pair;
    std::unique_ptr<UpstreamDialog> dialog;  // With the route's upstream, once connected.
    bool talks = false;                      // The connect is over, but the dialog is not.
    std::uint64_t begun_ms = 0;
    std::uint64_t until_ms = 0;
    sockaddr_storage address{};  // Read by the kernel until the connect completes.
  };

  // The first is enough for most connections, so the others are allocated when needed.
  Attempt& at(std::size_t number) { return number == 0 ? first_ : (*others_)[number - 1]; }
  std::size_t count() const { return others_ == nullptr ? 1 : limits::attempts_max; }
  std::size_t free_number();
  OpTag tag_of(std::size_t number) const;
  std::optional<Result> connect(std::size_t number, bool announced);
  std::optional<Result> on_dialog(std::size_t number, std::int32_t result);
  Result end(Attempt& attempt, std::int32_t result);
  void free(Attempt& attempt);
  void put_off_next();
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
