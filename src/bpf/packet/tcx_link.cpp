#include "bpf/packet/tcx_link.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace sni {
namespace {

// In linux/bpf.h since 6.6.
constexpr std::uint32_t attach_tcx_ingress = 46;
constexpr std::uint32_t attach_tcx_egress = 47;
constexpr std::uint32_t link_type_tcx = 11;

long bpf(int command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

}  // namespace

Result<UniqueFd> create_tcx_link(int program_fd, TcHook hook) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(program_fd);
  attributes.link_create.target_ifindex = hook.interface;
  attributes.link_create.attach_type =
      hook.direction == TcDirection::ingress ? attach_tcx_ingress : attach_tcx_egress;
  const long fd = bpf(BPF_LINK_CREATE, attributes);
  if (fd < 0) return fail_sys("tcx", errno);
  return UniqueFd::adopt(static_cast<int>(fd));
}

Result<void> update_tcx_link(int link_fd, int program_fd) {
  bpf_attr attributes{};
  attributes.link_update.link_fd = static_cast<std::uint32_t>(link_fd);
  attributes.link_update.new_prog_fd = static_cast<std::uint32_t>(program_fd);
  if (bpf(BPF_LINK_UPDATE, attributes) != 0) return fail_sys("tcx, update in place", errno);
  return {};
}

std::uint32_t interface_of_tcx_link(int link_fd) {
  bpf_link_info info{};
  bpf_attr attributes{};
  attributes.info.bpf_fd = static_cast<std::uint32_t>(link_fd);
  attributes.info.info_len = sizeof info;
  attributes.info.info = reinterpret_cast<std::uintptr_t>(&info);
  if (bpf(BPF_OBJ_GET_INFO_BY_FD, attributes) != 0 || info.type != link_type_tcx) return 0;
  return info.xdp.ifindex;  // The first member of both, `xdp` and `tcx`.
}

bool kernel_has_tcx() {
  bpf_attr attributes{};
  attributes.query.target_fd = ::if_nametoindex("lo");  // target_ifindex, in later headers.
  attributes.query.attach_type = attach_tcx_ingress;
  return bpf(BPF_PROG_QUERY, attributes) == 0 || errno == ENOENT;
}

}  // namespace sni
