#include "bpf/xdp/xdp_attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <expected>
#include <system_error>
#include <utility>

namespace sni {
namespace {

// A link of the same mode or a netlink attachment gives EBUSY, one of the other mode EEXIST
// (dev_xdp_attach in net/core/dev.c).
bool is_taken(int sys_errno) {
  return sys_errno == EBUSY || sys_errno == EEXIST;
}

std::string name_of_program(std::uint32_t id) {
  const UniqueFd program = UniqueFd::adopt(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  __u32 bytes = sizeof info;
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &bytes) != 0) return "unknown";
  return info.name;
}

std::expected<UniqueFd, int> link(int program_fd, int index, std::uint32_t flags) {
  const bpf_link_create_opts options{.sz = sizeof options, .flags = flags};
  const int fd = bpf_link_create(program_fd, index, BPF_XDP, &options);
  if (fd < 0) return std::unexpected(errno);
  return UniqueFd::adopt(fd);
}

}  // namespace

Result<XdpAttachment> XdpAttachment::attach(int program_fd, const std::string& interface,
                                            XdpMode mode) {
  const std::string act = "cannot attach the XDP filter to " + interface;
  XdpAttachment attachment;
  attachment.interface_ = interface;
  attachment.index_ = ::if_nametoindex(interface.c_str());
  if (attachment.index_ == 0) return fail_sys(act, errno);
  const int index = static_cast<int>(attachment.index_);

  int refused = 0;
  for (const bool native : {true, false}) {
    if (mode == (native ? XdpMode::generic : XdpMode::native)) continue;
    auto linked = link(program_fd, index, native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
    if (linked) {
      attachment.link_ = std::move(*linked);
      attachment.native_ = native;
      return attachment;
    }
    refused = linked.error();
    if (is_taken(refused)) break;
    attachment.fallback_reason_ = std::generic_category().message(refused);
  }
  if (is_taken(refused)) {
    auto taken = fail(act + ": " + xdp_holder(attachment.index_).value_or("a program") +
                      " is already attached and is left alone");
    taken.error().sys_errno = EBUSY;
    return taken;
  }
  return fail_sys(act + (mode == XdpMode::native ? " in native mode" : ""), refused);
}

bool XdpAttachment::is_current() const {
  return ::if_nametoindex(interface_.c_str()) == index_;
}

std::optional<std::string> xdp_holder(std::uint32_t index) {
  bpf_xdp_query_opts query{.sz = sizeof query};
  if (bpf_xdp_query(static_cast<int>(index), 0, &query) != 0) return std::nullopt;
  for (const __u32 id : {query.prog_id, query.drv_prog_id, query.skb_prog_id, query.hw_prog_id}) {
    if (id != 0) return "program '" + name_of_program(id) + "' (id " + std::to_string(id) + ")";
  }
  return std::nullopt;
}

}  // namespace sni
