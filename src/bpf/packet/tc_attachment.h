#pragma once

// A tc program on interfaces: by a tcx link where the kernel has it (6.6), else as a direct-action
// filter of the clsact qdisc. Always behind the programs of others, so that their verdicts hold: tcx
// runs before clsact, so an interface on which somebody has filters gets a filter too, with the last
// priority.
//
// A tcx link that is not pinned goes with the process, however it ends. A filter stays behind after
// a crash; the next process takes it away. It knows those whose process lives by a token, an
// abstract socket that the namespace names after the filter's handle. With pins both kinds stay on
// purpose, and the next process puts its program in the place of the old one.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bpf/packet/netlink.h"
#include "bpf/packet/pin_directory.h"
#include "bpf/packet/tc_filters.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

enum class TcKind : std::uint8_t { tcx, clsact };
const char* to_string(TcKind kind);

// One program on one hook. Detaches when destroyed unless it is pinned.
class TcAttachment {
 public:
  TcAttachment(TcAttachment&&) noexcept = default;
  TcAttachment& operator=(TcAttachment&& other) noexcept;
  ~TcAttachment() {
    if (pins_ == nullptr) detach();
  }

  TcKind kind() const { return kind_; }
  TcHook hook() const { return hook_; }
  // Whether this was an update in place of what an earlier process had left.
  bool taken_over() const { return taken_over_; }
  // False once the interface is gone, also where another has got its name.
  bool is_current() const;
  // Takes the program off the interface, and its pin away.
  void detach();

 private:
  friend class TcAttacher;
  TcAttachment() = default;

  TcHook hook_;
  TcKind kind_ = TcKind::tcx;
  bool taken_over_ = false;
  bool made_clsact_ = false;
  UniqueFd link_;             // tcx.
  std::uint32_t handle_ = 0;  // clsact.
  std::string interface_;
  std::shared_ptr<NetlinkSocket> route_;  // Empty: moved from, or detached.
  const PinDirectory* pins_ = nullptr;
};

class TcAttacher {
 public:
  struct Options {
    int program_fd = -1;                 // BPF_PROG_TYPE_SCHED_CLS; outlives the attacher.
    std::optional<TcKind> kind;          // nullopt: what fits each interface.
    const PinDirectory* pins = nullptr;  // Outlives the attacher and the attachments.
    std::uint32_t pinned_map = 0;        // With pins: id of the map by which they are known.
  };
  static Result<TcAttacher> open(const Options& options);

  // sys_errno ENODEV: the interface is not there.
  Result<TcAttachment> attach(const std::string& interface, TcDirection direction);
  // The hooks that an earlier process of these pins had: those to attach to before anything else.
  std::vector<std::pair<std::string, TcDirection>> left_behind();
  // Takes away filters of processes that crashed, on all interfaces; how many.
  std::size_t remove_orphans();

 private:
  Result<void> attach_tcx(TcAttachment& attachment);
  Result<void> attach_clsact(TcAttachment& attachment);
  // Handle of the filter that an earlier process of these pins left on the hook.
  std::optional<std::uint32_t> left_filter(TcHook hook);
  bool uses_pinned_map(std::uint32_t program_id) const;

  Options options_;
  std::shared_ptr<NetlinkSocket> route_;
  std::uint32_t handle_ = 0;
  UniqueFd token_;
};

}  // namespace sni
