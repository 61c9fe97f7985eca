#include "bpf/packet/tc_filters.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace sni {
namespace {

tcmsg header_of(TcHook hook) {
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = static_cast<int>(hook.interface);
  header.tcm_parent = TC_H_MAKE(
      TC_H_CLSACT, hook.direction == TcDirection::ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  return header;
}

tcmsg filter_header(TcHook hook, std::uint32_t handle) {
  tcmsg header = header_of(hook);
  header.tcm_handle = handle;
  header.tcm_info = TC_H_MAKE(std::uint32_t{tc_filter_priority} << 16, htons(ETH_P_ALL));
  return header;
}

tcmsg qdisc_header(std::uint32_t interface) {
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = static_cast<int>(interface);
  header.tcm_parent = TC_H_CLSACT;
  header.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  return header;
}

TcFilter filter_of(const tcmsg& header, NetlinkBytes attributes) {
  TcFilter filter{.handle = header.tcm_handle,
                  .priority = static_cast<std::uint16_t>(TC_H_MAJ(header.tcm_info) >> 16)};
  for_each_attribute(attributes, [&](std::uint16_t type, NetlinkBytes value) {
    if (type == TCA_KIND) filter.kind = netlink_text(value);
    if (type != TCA_OPTIONS || filter.kind != "bpf") return;
    for_each_attribute(value, [&](std::uint16_t option, NetlinkBytes what) {
      if (option == TCA_BPF_NAME) filter.name = netlink_text(what);
      if (option == TCA_BPF_ID) {
        filter.program_id = netlink_value<std::uint32_t>(what).value_or(0);
      }
    });
  });
  return filter;
}

// "clsact", "ingress", or empty if there is neither.
Result<std::string> qdisc_kind(NetlinkSocket& route, std::uint32_t interface) {
  // Asks without a handle: the place of a removed clsact has none.
  tcmsg header = qdisc_header(interface);
  header.tcm_handle = 0;
  // Without NLM_F_ECHO the answer goes only to the listeners of RTNLGRP_TC.
  NetlinkRequest request(RTM_GETQDISC, NLM_F_ECHO | NLM_F_ACK, header);
  std::string kind;
  const auto asked = route.ask(request, [&](std::uint16_t, NetlinkBytes body) {
    for_each_attribute(attributes_behind<tcmsg>(body), [&](std::uint16_t type, NetlinkBytes value) {
      if (type == TCA_KIND) kind = netlink_text(value);
    });
  });
  if (!asked && asked.error().sys_errno != ENOENT) return std::unexpected(asked.error());
  return kind;
}

}  // namespace

const char* to_string(TcDirection direction) {
  return direction == TcDirection::ingress ? "ingress" : "egress";
}

Result<std::vector<TcFilter>> list_tc_filters(NetlinkSocket& route, TcHook hook) {
  const auto kind = qdisc_kind(route, hook.interface);
  if (!kind) return std::unexpected(kind.error());
  std::vector<TcFilter> filters;
  // An "ingress" qdisc answers for both directions with the filters of ingress.
  if (kind->empty() || (*kind != "clsact" && hook.direction == TcDirection::egress)) return filters;
  NetlinkRequest request(RTM_GETTFILTER, NLM_F_DUMP, header_of(hook));
  const auto asked = route.ask(request, [&](std::uint16_t type, NetlinkBytes body) {
    const auto header = netlink_value<tcmsg>(body);
    // Each classifier also lists itself without a handle, ahead of its filters.
    if (type != RTM_NEWTFILTER || !header || header->tcm_handle == 0) return;
    filters.push_back(filter_of(*header, attributes_behind<tcmsg>(body)));
  });
  if (!asked) return std::unexpected(asked.error());
  return filters;
}

Result<bool> ensure_clsact(NetlinkSocket& route, TcHook hook) {
  NetlinkRequest request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
                         qdisc_header(hook.interface));
  request.put_string(TCA_KIND, "clsact");
  const auto made = route.ask(request);
  if (made) return true;
  if (made.error().sys_errno != EEXIST) return std::unexpected(made.error());
  const auto kind = qdisc_kind(route, hook.interface);
  if (!kind) return std::unexpected(kind.error());
  if (hook.direction == TcDirection::egress && *kind != "clsact") {
    return fail("a qdisc of kind '" + *kind + "' is there, which has no egress");
  }
  return false;
}

Result<void> remove_empty_clsact(NetlinkSocket& route, std::uint32_t interface) {
  for (const TcDirection direction : {TcDirection::ingress, TcDirection::egress}) {
    const auto left = list_tc_filters(route, {.interface = interface, .direction = direction});
    if (!left) return std::unexpected(left.error());
    if (!left->empty()) return {};
  }
  NetlinkRequest request(RTM_DELQDISC, NLM_F_ACK, qdisc_header(interface));
  return route.ask(request);
}

Result<void> add_tc_filter(NetlinkSocket& route, TcHook hook, std::uint32_t handle, int program_fd,
                           TcExisting existing) {
  const std::uint16_t how = existing == TcExisting::replace ? NLM_F_REPLACE : NLM_F_EXCL;
  NetlinkRequest request(RTM_NEWTFILTER, static_cast<std::uint16_t>(NLM_F_CREATE | NLM_F_ACK | how),
                         filter_header(hook, handle));
  request.put_string(TCA_KIND, "bpf");
  const std::size_t options = request.begin_nest(TCA_OPTIONS);
  request.put_value(TCA_BPF_FD, static_cast<std::uint32_t>(program_fd));
  request.put_string(TCA_BPF_NAME, tc_filter_name);
  request.put_value(TCA_BPF_FLAGS, std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT});
  request.end_nest(options);
  return route.ask(request);
}

Result<void> remove_tc_filter(NetlinkSocket& route, TcHook hook, std::uint32_t handle) {
  NetlinkRequest request(RTM_DELTFILTER, NLM_F_ACK, filter_header(hook, handle));
  request.put_string(TCA_KIND, "bpf");
  return route.ask(request);
}

}  // namespace sni
