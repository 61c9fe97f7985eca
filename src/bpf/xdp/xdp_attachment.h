#pragma once

// One interface with the program on it. A bpf_link holds it there, so it goes with this object or
// with the process, however that ends.

#include <cstdint>
#include <optional>
#include <string>

#include "core/config/config.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class XdpAttachment {
 public:
  // Native, else generic, as `mode` allows. An XDP program of somebody else is left alone: an error
  // whose sys_errno is EBUSY. An interface that is not there: ENODEV.
  static Result<XdpAttachment> attach(int program_fd, const std::string& interface, XdpMode mode);

  bool is_native() const { return native_; }
  // Why not native, where mode "auto" fell back; else empty.
  const std::string& fallback_reason() const { return fallback_reason_; }
  // False once the interface is gone, also where another of that name has taken its place.
  bool is_current() const;

 private:
  std::string interface_;
  std::uint32_t index_ = 0;
  UniqueFd link_;
  bool native_ = false;
  std::string fallback_reason_;
};

// Whose XDP program is on an interface, as in "program 'xdp_pass' (id 12)"; nullopt: nobody's.
std::optional<std::string> xdp_holder(std::uint32_t index);

}  // namespace sni
