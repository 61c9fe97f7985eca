#include "bpf/xdp/xdp_probe.h"

#include <bpf/bpf.h>
#include <linux/genetlink.h>
#include <net/if.h>

#include <cerrno>

#include "bpf/interface_list.h"
#include "bpf/netlink.h"
#include "bpf/xdp/xdp_attachment.h"
#include "bpf/xdp/xdp_filter.h"
#include "core/unique_fd.h"

namespace sni {
namespace {

// From linux/netdev.h, which is missing in headers before 6.3.
constexpr const char* netdev_family = "netdev";
constexpr std::uint8_t netdev_cmd_dev_get = 1;
constexpr std::uint16_t netdev_dev_ifindex = 1;
constexpr std::uint16_t netdev_dev_xdp_features = 3;
constexpr std::uint64_t xdp_act_basic = 1;  // All verdicts except redirects.

std::string per_cpu_maps() {
  const auto map =
      UniqueFd::adopt(bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "probe", sizeof(std::uint32_t),
                                     sizeof(std::uint64_t), 1, nullptr));
  return map ? "per-CPU maps: yes"
             : "per-CPU maps: no (" + std::generic_category().message(errno) + ")";
}

std::string native_verdict(const Result<std::map<std::uint32_t, bool>>& native,
                           std::uint32_t index) {
  if (!native) return "native not known (" + native.error().what + ")";
  const auto found = native->find(index);
  if (found == native->end() || !found->second) return "native no (the driver has none)";
  return "native yes, by its driver";
}

}  // namespace

Result<std::map<std::uint32_t, bool>> native_xdp() {
  auto netlink = NetlinkSocket::open(NETLINK_GENERIC);
  if (!netlink) return std::unexpected(netlink.error());
  std::uint16_t family = 0;
  NetlinkRequest which(GENL_ID_CTRL, 0,
                       genlmsghdr{.cmd = CTRL_CMD_GETFAMILY, .version = 1, .reserved = 0});
  which.put_string(CTRL_ATTR_FAMILY_NAME, netdev_family);
  const auto named = netlink->ask(which, [&](std::uint16_t, NetlinkBytes body) {
    for_each_attribute(attributes_behind<genlmsghdr>(body),
                       [&](std::uint16_t type, NetlinkBytes value) {
                         if (type != CTRL_ATTR_FAMILY_ID) return;
                         family = netlink_value<std::uint16_t>(value).value_or(0);
                       });
  });
  if (!named || family == 0) return fail("drivers say so from Linux 6.3 on");

  std::map<std::uint32_t, bool> native;
  NetlinkRequest devices(family, NLM_F_DUMP,
                         genlmsghdr{.cmd = netdev_cmd_dev_get, .version = 1, .reserved = 0});
  const auto dumped = netlink->ask(devices, [&](std::uint16_t, NetlinkBytes body) {
    std::uint32_t index = 0;
    std::uint64_t features = 0;
    for_each_attribute(attributes_behind<genlmsghdr>(body),
                       [&](std::uint16_t type, NetlinkBytes value) {
                         if (type == netdev_dev_ifindex)
                           index = netlink_value<std::uint32_t>(value).value_or(0);
                         if (type == netdev_dev_xdp_features) {
                           features = netlink_value<std::uint64_t>(value).value_or(0);
                         }
                       });
    native[index] = (features & xdp_act_basic) != 0;
  });
  if (!dumped) return std::unexpected(dumped.error());
  return native;
}

std::vector<std::string> probe_xdp() {
  std::vector<std::string> lines = {per_cpu_maps()};
  const auto filter = XdpFilter::load();
  if (!filter) {
    lines.push_back("XDP: no (" + filter.error().what + ")");
    return lines;
  }
  const auto native = native_xdp();
  const InterfaceList interfaces = list_interfaces();
  if (!interfaces) {
    lines.emplace_back("XDP: the interfaces cannot be listed");
    return lines;
  }
  for (const auto* each = interfaces.get(); each->if_index != 0; ++each) {
    const auto holder = xdp_holder(each->if_index);
    lines.push_back("XDP on " + std::string(each->if_name) + ": " +
                    native_verdict(native, each->if_index) + "; generic yes, as everywhere" +
                    (holder ? "; " + *holder + " is there" : ""));
  }
  return lines;
}

}  // namespace sni
