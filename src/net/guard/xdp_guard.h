#pragma once

// The XDP side of the guard: the loaded filter, and the interfaces it is attached to. Where it
// cannot be had, one line of the log says so, and the check at accept does the work alone; only a
// mode that was asked for by name is insisted on.

#include <optional>
#include <string>
#include <vector>

#include "bpf/xdp/xdp_attachment.h"
#include "bpf/xdp/xdp_filter.h"
#include "core/config/config.h"
#include "core/error.h"

namespace sni {

class XdpGuard {
 public:
  // Loads the filter. nullopt: not wanted, or not to be had.
  static Result<std::optional<XdpGuard>> load(const XdpConfig& config);

  // Attaches to all interfaces, once there is a generation to judge by.
  Result<void> attach();
  // Lets go of interfaces that are gone and takes those that have come.
  void refresh();

  XdpFilter& filter() { return filter_; }
  const XdpFilter& filter() const { return filter_; }
  void log_totals() const;

 private:
  struct Interface {
    std::string name;
    std::optional<XdpAttachment> attachment;
    std::string complaint;  // What was last said about it, so that it is said once.
  };

  XdpGuard(const XdpConfig& config, XdpFilter filter);
  Result<void> attach(Interface& interface);

  XdpMode mode_;
  XdpFilter filter_;
  std::vector<Interface> interfaces_;
};

}  // namespace sni
