#pragma once

// A tc program on interfaces: by a tcx link if the kernel has tcx (6.6), else as a direct-action
// filter of the clsact qdisc. It always runs after the programs of others, so that their verdicts
// hold. tcx runs before clsact, so an interface that already has filters gets a filter too, with
// the last priority.
//
// A tcx link that is not pinned ends with the process, however that ends. A filter stays after a
// crash, and the next process removes it. A token shows that a filter's process is alive: an
// abstract socket of the namespace, named after the filter's handle. With pins both kinds stay on
// purpose, and the next process replaces the old program by its own.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bpf/netlink.h"
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
  // Whether this updated an earlier process's attachment in place.
  bool taken_over() const { return taken_over_; }
  // False once the interface is gone, even if another one has its name.
  bool is_current() const;
  // Removes the program from the interface, and its pin.
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
    std::optional<TcKind> kind;          // nullopt: chosen for each interface.
    const PinDirectory* pins = nullptr;  // Outlives the attacher and the attachments.
    std::uint32_t pinned_map = 0;        // With pins: id of the map that identifies them.
  };
  static Result<TcAttacher> open(const Options& options);

  // sys_errno ENODEV: the interface does not exist.
  Result<TcAttachment> attach(const std::string& interface, TcDirection direction);
  // The hooks of an earlier process with these pins, which are to be attached to first.
  std::vector<std::pair<std::string, TcDirection>> left_behind();
  // Removes filters of crashed processes on all interfaces; returns their number.
  std::size_t remove_orphans();

 private:
  Result<void> attach_tcx(TcAttachment& attachment) const;
  Result<void> attach_clsact(TcAttachment& attachment);
  // Handle of the filter that an earlier process with these pins left on the hook.
  std::optional<std::uint32_t> left_filter(TcHook hook);
  bool uses_pinned_map(std::uint32_t program_id) const;

  Options options_;
  std::shared_ptr<NetlinkSocket> route_;
  std::uint32_t handle_ = 0;
  UniqueFd token_;
};

}  // namespace sni
