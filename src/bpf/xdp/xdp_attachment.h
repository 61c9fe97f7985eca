#pragma once

// The program attached to one interface. A bpf_link holds it there, so it is detached with this
// object or with the process, however that ends.

#include <cstdint>
#include <optional>
#include <string>

#include "core/config/config.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class XdpAttachment {
 public:
  // Native, else generic, as `mode` allows. Another XDP program on the interface is left alone; the
  // error has the sys_errno EBUSY. A missing interface gives ENODEV.
  static Result<XdpAttachment> attach(int program_fd, const std::string& interface, XdpMode mode);

  bool is_native() const { return native_; }
  // Why mode "auto" fell back to generic; empty if it did not.
  const std::string& fallback_reason() const { return fallback_reason_; }
  // False once the interface is gone, even if another one has its name.
  bool is_current() const;

 private:
  std::string interface_;
  std::uint32_t index_ = 0;
  UniqueFd link_;
  bool native_ = false;
  std::string fallback_reason_;
};

// The XDP program on an interface, as in "program 'xdp_pass' (id 12)"; nullopt: none.
std::optional<std::string> xdp_holder(std::uint32_t index);

}  // namespace sni
