#pragma once

// A tcx attachment (Linux 6.6): a bpf_link that puts a program behind all others of an interface's
// ingress or egress. By bpf(2) itself, since the libbpf and kernel headers that we build with may
// be older than tcx.

#include <cstdint>

#include "bpf/packet/tc_filters.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// sys_errno EINVAL: this kernel has no tcx.
Result<UniqueFd> create_tcx_link(int program_fd, TcHook hook);
// Puts the program in the place of the link's. No packet in between sees none.
Result<void> update_tcx_link(int link_fd, int program_fd);
// The interface that a tcx link holds on to; 0: the interface is gone, or it is no tcx link.
std::uint32_t interface_of_tcx_link(int link_fd);
// Whether this kernel knows tcx, by asking what is attached to loopback.
bool kernel_has_tcx();

}  // namespace sni
