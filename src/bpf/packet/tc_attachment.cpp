#include "bpf/packet/tc_attachment.h"

#include <bpf/bpf.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>

#include "bpf/interface_list.h"
#include "bpf/packet/tcx_link.h"

namespace sni {
namespace {

// A handle with this bit belongs to a pinned filter, which needs no live process.
constexpr std::uint32_t pinned_bit = 0x8000'0000;
constexpr int handle_tries = 8;

// The token of a handle. Empty: a live process has it.
UniqueFd take_token(std::uint32_t handle) {
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const std::string name = "sni-proxy/tc/" + std::to_string(handle);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return {};
  return fd;
}

std::string link_name(TcHook hook) {
  return std::string("link-") + to_string(hook.direction) + "-" + std::to_string(hook.interface);
}

}  // namespace

const char* to_string(TcKind kind) {
  return kind == TcKind::tcx ? "tcx" : "clsact";
}

TcAttachment& TcAttachment::operator=(TcAttachment&& other) noexcept {
  if (this == &other) return *this;
  if (pins_ == nullptr) detach();
  hook_ = other.hook_;
  kind_ = other.kind_;
  taken_over_ = other.taken_over_;
  made_clsact_ = other.made_clsact_;
  link_ = std::move(other.link_);
  handle_ = other.handle_;
  interface_ = std::move(other.interface_);
  route_ = std::move(other.route_);
  pins_ = other.pins_;
  return *this;
}

bool TcAttachment::is_current() const {
  return ::if_nametoindex(interface_.c_str()) == hook_.interface;
}

void TcAttachment::detach() {
  const auto route = std::exchange(route_, nullptr);
  if (route == nullptr) return;
  if (pins_ != nullptr && kind_ == TcKind::tcx) pins_->remove(link_name(hook_));
  link_.reset();
  if (kind_ == TcKind::tcx) return;
  // Failures need no action: the interface is gone, or the qdisc was removed.
  (void)remove_tc_filter(*route, hook_, handle_);
  if (made_clsact_) (void)remove_empty_clsact(*route, hook_.interface);
}

Result<TcAttacher> TcAttacher::open(const Options& options) {
  TcAttacher made;
  made.options_ = options;
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  if (!route) return std::unexpected(route.error());
  made.route_ = std::make_shared<NetlinkSocket>(std::move(*route));
  for (int tries = 0; tries < handle_tries && !made.token_; ++tries) {
    if (::getrandom(&made.handle_, sizeof made.handle_, 0) != sizeof made.handle_) break;
    made.handle_ = (made.handle_ & ~pinned_bit) | 1;
    made.token_ = take_token(made.handle_);
  }
  if (!made.token_) return fail_sys("cannot reserve a handle for tc filters", errno);
  if (options.pins != nullptr) made.handle_ |= pinned_bit;
  return made;
}

Result<TcAttachment> TcAttacher::attach(const std::string& interface, TcDirection direction) {
  TcAttachment attachment;
  attachment.interface_ = interface;
  attachment.hook_ = {.interface = ::if_nametoindex(interface.c_str()), .direction = direction};
  const std::string act = "cannot attach to " + interface + " (tc " + to_string(direction) + ")";
  if (attachment.hook_.interface == 0) return fail_sys(act, errno);

  const auto filters = list_tc_filters(*route_, attachment.hook_);
  if (!filters) return fail_sys(act, filters.error().sys_errno);
  const bool before_others =
      std::ranges::any_of(*filters, [](const TcFilter& each) { return !each.is_ours(); });
  // If an earlier process with these pins had a filter, its flows continue through that.
  const bool by_filter =
      options_.kind == TcKind::clsact || before_others || left_filter(attachment.hook_).has_value();
  Result<void> done;
  if (!by_filter || options_.kind == TcKind::tcx) {
    done = attach_tcx(attachment);
    const bool unknown = !done && done.error().sys_errno == EINVAL;
    if (unknown && options_.kind != TcKind::tcx) done = attach_clsact(attachment);
  } else {
    done = attach_clsact(attachment);
  }
  if (!done) {
    return std::unexpected(
        Error{.what = act + ": " + done.error().what, .sys_errno = done.error().sys_errno});
  }
  attachment.route_ = route_;
  attachment.pins_ = options_.pins;
  return attachment;
}

Result<void> TcAttacher::attach_tcx(TcAttachment& attachment) const {
  attachment.kind_ = TcKind::tcx;
  const std::string name = link_name(attachment.hook_);
  if (options_.pins != nullptr) {
    if (auto left = options_.pins->get(name)) {
      if (interface_of_tcx_link(left->get()) == attachment.hook_.interface) {
        attachment.link_ = std::move(*left);
        attachment.taken_over_ = true;
        return update_tcx_link(attachment.link_.get(), options_.program_fd);
      }
      options_.pins->remove(name);  // The interface is gone.
    }
  }
  auto link = create_tcx_link(options_.program_fd, attachment.hook_);
  if (!link) return std::unexpected(link.error());
  attachment.link_ = std::move(*link);
  if (options_.pins == nullptr) return {};
  return options_.pins->pin(attachment.link_.get(), name);
}

Result<void> TcAttacher::attach_clsact(TcAttachment& attachment) {
  attachment.kind_ = TcKind::clsact;
  const TcHook hook = attachment.hook_;
  if (const auto left = left_filter(hook)) {
    attachment.handle_ = *left;
    attachment.taken_over_ = true;
    return add_tc_filter(*route_, hook, *left, options_.program_fd, TcExisting::replace);
  }
  const auto made = ensure_clsact(*route_, hook);
  if (!made) return std::unexpected(made.error());
  attachment.made_clsact_ = *made;
  const auto added = add_tc_filter(*route_, hook, handle_, options_.program_fd, TcExisting::refuse);
  if (added) attachment.handle_ = handle_;
  if (!added && *made) (void)remove_empty_clsact(*route_, hook.interface);
  return added;
}

std::optional<std::uint32_t> TcAttacher::left_filter(TcHook hook) {
  if (options_.pins == nullptr) return std::nullopt;
  const auto filters = list_tc_filters(*route_, hook);
  if (!filters) return std::nullopt;
  for (const TcFilter& each : *filters) {
    if (each.is_ours() && uses_pinned_map(each.program_id)) return each.handle;
  }
  return std::nullopt;
}

bool TcAttacher::uses_pinned_map(std::uint32_t program_id) const {
  const auto program = UniqueFd::adopt(bpf_prog_get_fd_by_id(program_id));
  std::array<std::uint32_t, 64> maps{};  // MAX_USED_MAPS of kernel/bpf/verifier.c.
  bpf_prog_info info{};
  info.nr_map_ids = maps.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(maps.data());
  __u32 size = sizeof info;
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) return false;
  const auto used = std::span(maps).first(std::min<std::size_t>(info.nr_map_ids, maps.size()));
  return std::ranges::find(used, options_.pinned_map) != used.end();
}

std::vector<std::pair<std::string, TcDirection>> TcAttacher::left_behind() {
  std::vector<std::pair<std::string, TcDirection>> hooks;
  if (options_.pins == nullptr) return hooks;
  const InterfaceList interfaces = list_interfaces();
  if (!interfaces) return hooks;
  for (const auto* each = interfaces.get(); each->if_index != 0; ++each) {
    for (const TcDirection direction : {TcDirection::ingress, TcDirection::egress}) {
      const TcHook hook{.interface = each->if_index, .direction = direction};
      if (options_.pins->get(link_name(hook)) || left_filter(hook)) {
        hooks.emplace_back(each->if_name, direction);
      }
    }
  }
  return hooks;
}

std::size_t TcAttacher::remove_orphans() {
  std::size_t removed = 0;
  const InterfaceList interfaces = list_interfaces();
  if (!interfaces) return removed;
  for (const auto* each = interfaces.get(); each->if_index != 0; ++each) {
    for (const TcDirection direction : {TcDirection::ingress, TcDirection::egress}) {
      const TcHook hook{.interface = each->if_index, .direction = direction};
      const auto filters = list_tc_filters(*route_, hook);
      if (!filters) continue;
      for (const TcFilter& filter : *filters) {
        if (!filter.is_ours() || (filter.handle & pinned_bit) != 0) continue;
        // Held until the filter is removed, so that no new process gets its handle meanwhile.
        const UniqueFd token = take_token(filter.handle);
        if (token && remove_tc_filter(*route_, hook, filter.handle)) ++removed;
      }
    }
  }
  return removed;
}

}  // namespace sni
