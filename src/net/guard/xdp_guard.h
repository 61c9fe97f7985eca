#pragma once

// The XDP side of the guard: the loaded filter, and the interfaces it is attached to. If XDP is not
// available, a log line says so and only the check at accept applies; it is an error only if the
// configuration names the mode.

#include <optional>
#include <string>
#include <vector>

#include "bpf/xdp/xdp_attachment.h"
#include "bpf/xdp/xdp_filter.h"
#include "core/config/config.h"
#include "core/error.h"

namespace sni {

struct LoadedXdp;

class XdpGuard {
 public:
  // Loads the filter. An error only if the configuration names the mode.
  static Result<LoadedXdp> load(const XdpConfig& config);

  // Attaches to all interfaces, once a generation is active.
  Result<void> attach();
  // Detaches from interfaces that are gone and attaches to new ones.
  void refresh();

  // What `status` says of a configured interface.
  struct Place {
    std::string interface;
    const char* mode = nullptr;  // "native", "generic"; null: not attached.
    std::string reason;          // Why not, or why not native; empty: there is none.
  };
  std::vector<Place> places() const;

  XdpFilter& filter() { return filter_; }
  const XdpFilter& filter() const { return filter_; }
  void log_totals() const;

 private:
  struct Interface {
    std::string name;
    std::optional<XdpAttachment> attachment;
    std::string complaint;  // The last message about it, so that each is logged once.
  };

  XdpGuard(const XdpConfig& config, XdpFilter filter);
  Result<void> attach(Interface& interface);

  XdpMode mode_;
  XdpFilter filter_;
  std::vector<Interface> interfaces_;
};

struct LoadedXdp {
  std::optional<XdpGuard> guard;
  std::string missing;  // Why there is none.
};

}  // namespace sni
