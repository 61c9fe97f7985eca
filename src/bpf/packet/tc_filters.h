#pragma once

// The classifiers of an interface's clsact qdisc (net/sched/cls_api.c) over rtnetlink, as `tc
// filter show dev eth0 ingress` lists them. Ours are BPF programs in direct-action mode with the
// last priority, so that the rules of others come first.

#include <cstdint>
#include <string>
#include <vector>

#include "bpf/netlink.h"
#include "core/error.h"

namespace sni {

enum class TcDirection : std::uint8_t { ingress, egress };
const char* to_string(TcDirection direction);

// The name and priority that identify our filters. The kernel assigns 49152 or less to filters
// without a priority (tcf_auto_prio).
inline constexpr const char* tc_filter_name = "packet_splice";
inline constexpr std::uint16_t tc_filter_priority = 0xfffe;

struct TcFilter {
  std::uint32_t handle = 0;  // Distinguishes filters of one priority.
  std::uint16_t priority = 0;
  std::string kind;              // "bpf", "flower", ...
  std::string name;              // Of a BPF filter.
  std::uint32_t program_id = 0;  // Of a BPF filter.

  bool is_ours() const {
    return kind == "bpf" && name == tc_filter_name && priority == tc_filter_priority;
  }
};

// Where a filter is or will be.
struct TcHook {
  std::uint32_t interface = 0;  // Its index.
  TcDirection direction = TcDirection::ingress;
};

// Empty if the interface has no qdisc for filters.
Result<std::vector<TcFilter>> list_tc_filters(NetlinkSocket& route, TcHook hook);

// Makes the qdisc if there is none; true: made. Another program's "ingress" qdisc serves for
// ingress, but is an error for egress, where it would catch the wrong packets.
Result<bool> ensure_clsact(NetlinkSocket& route, TcHook hook);
// Removes the qdisc unless a filter of either direction is left.
Result<void> remove_empty_clsact(NetlinkSocket& route, std::uint32_t interface);

enum class TcExisting : std::uint8_t { refuse, replace };
// Fails with EEXIST if the handle is taken, or replaces that filter's program atomically: no packet
// passes unseen.
Result<void> add_tc_filter(NetlinkSocket& route, TcHook hook, std::uint32_t handle, int program_fd,
                           TcExisting existing);
Result<void> remove_tc_filter(NetlinkSocket& route, TcHook hook, std::uint32_t handle);

}  // namespace sni
