#pragma once

// A tcx attachment (Linux 6.6): a bpf_link that adds a program after all others on an interface's
// ingress or egress. It uses bpf(2) directly, since the libbpf and kernel headers of the build may
// be older than tcx.

#include <cstdint>

#include "bpf/packet/tc_filters.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// sys_errno EINVAL: this kernel has no tcx.
Result<UniqueFd> create_tcx_link(int program_fd, TcHook hook);
// Replaces the link's program atomically: no packet passes unseen.
Result<void> update_tcx_link(int link_fd, int program_fd);
// The interface of a tcx link; 0: it is gone, or this is not a tcx link.
std::uint32_t interface_of_tcx_link(int link_fd);
// Whether this kernel has tcx, found out by a query of loopback.
bool kernel_has_tcx();

}  // namespace sni
