#pragma once

// Two network namespaces on one wire, for the live self-test: the proxy's, with the packet programs
// on its end and on its lo, and that of the far ends. They end when their descriptors are closed.
//
//   far end: 198.18.0.2, 2001:db8::2 -- veth -- proxy: 198.18.0.1, 2001:db8::1

#include <cstdint>
#include <vector>

#include "bpf/packet/tc_attachment.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class PacketLab {
 public:
  // To be called on a thread of its own, which is then in the proxy's namespace for the rest of its
  // life. `program_fd` is for frames with a MAC header. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
  static Result<PacketLab> build(int program_fd);
  // Without namespaces: the wire is the caller's lo, to which the caller has attached the program.
  static Result<PacketLab> on_own_loopback();

  // The calling thread's namespace, for the sockets that it opens next.
  Result<void> enter_far() const { return enter(far_); }
  Result<void> enter_proxy() const { return enter(proxy_); }

  std::uint32_t wire() const { return wire_; }
  std::uint32_t loopback() const { return loopback_; }
  bool has_ipv6() const { return has_ipv6_; }

 private:
  static Result<void> enter(const UniqueFd& space);
  Result<void> lay_wire();
  Result<void> attach(int program_fd);

  UniqueFd proxy_;
  UniqueFd far_;
  std::uint32_t wire_ = 0;
  std::uint32_t loopback_ = 0;
  bool has_ipv6_ = false;
  std::vector<TcAttachment> attachments_;
};

}  // namespace sni
