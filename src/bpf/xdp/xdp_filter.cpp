#include "bpf/xdp/xdp_filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "bpf/libbpf_lines.h"
#include "xdp_ip_filter.skel.h"

namespace sni {

const char* to_string(guard_reason reason) {
  switch (reason) {
    case GUARD_PASS_UNLISTED:
      return "passed, on no list";
    case GUARD_PASS_ALLOWED:
      return "passed, allowed";
    case GUARD_PASS_NEIGHBOUR:
      return "passed, neighbour discovery";
    case GUARD_PASS_NOT_LISTENER:
      return "passed, blocked for the listeners only";
    case GUARD_PASS_NOT_PARSED:
      return "passed, not understood";
    case GUARD_DROP_BLOCKED:
      return "dropped, blocked";
    case GUARD_DROP_BANNED:
      return "dropped, banned";
    case GUARD_DROP_NOT_ALLOWED:
      return "dropped, not allowed";
    case GUARD_REASONS:
      break;
  }
  return "unknown";
}

const char* to_string(guard_protocol protocol) {
  switch (protocol) {
    case GUARD_OTHER:
      return "other";
    case GUARD_IPV4:
      return "IPv4";
    case GUARD_IPV6:
      return "IPv6";
    case GUARD_PROTOCOLS:
      break;
  }
  return "unknown";
}

std::uint64_t XdpCounters::total(guard_reason reason) const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : packets[reason]) sum += count;
  return sum;
}

void XdpFilter::Unload::operator()(xdp_ip_filter* skeleton) const {
  xdp_ip_filter__destroy(skeleton);
}

Result<XdpFilter> XdpFilter::load() {
  catch_libbpf_lines();
  // A kernel before 5.18 refuses the flag for frames of several buffers, so a second try omits it.
  // Other refusals repeat, and the error reports them.
  for (const bool fragments : {true, false}) {
    Skeleton skeleton(xdp_ip_filter__open());
    if (!skeleton) return fail_sys("cannot open the XDP program", errno);
    bpf_program* program = skeleton->progs.xdp_ip_filter;
    if (!fragments) {
      bpf_program__set_flags(program, bpf_program__flags(program) & ~BPF_F_XDP_HAS_FRAGS);
    }
    const int refused = xdp_ip_filter__load(skeleton.get());
    if (refused == 0) return XdpFilter(std::move(skeleton), fragments);
    if (fragments && refused == -EINVAL) continue;
    return fail_sys("cannot load the XDP program (it needs CAP_BPF and CAP_NET_ADMIN)", -refused);
  }
  std::unreachable();
}

int XdpFilter::program_fd() const {
  return bpf_program__fd(skeleton_->progs.xdp_ip_filter);
}

Result<std::optional<XdpGeneration>> XdpFilter::activate(XdpGeneration next) {
  static_assert(GUARD_GENERATIONS == 2);
  const std::uint32_t used = skeleton_->bss->guard_generation;
  const std::uint32_t unused = 1 - used;
  if (auto filled = fill_slots(unused, next); !filled) return std::unexpected(filled.error());

  std::atomic_ref(skeleton_->bss->guard_generation).store(unused, std::memory_order_release);
  // A packet that has just read the old index may still be in the program. Updating an array of
  // maps ends with a grace period (maybe_wait_bpf_programs in kernel/bpf/syscall.c), so after one
  // more update no CPU uses the old slots.
  const int bans = next.v4_.bans.get();
  bpf_map_update_elem(bpf_map__fd(skeleton_->maps.BANS_V4), &unused, &bans, BPF_ANY);
  for (const Slot& slot : slots_of(used, next)) {
    bpf_map_delete_elem(bpf_map__fd(slot.maps), &slot.index);
  }
  std::optional<XdpGeneration> before = std::exchange(active_, std::move(next));
  return before;
}

// The slot of each map of a generation.
std::vector<XdpFilter::Slot> XdpFilter::slots_of(std::uint32_t index,
                                                 const XdpGeneration& generation) const {
  const auto& maps = skeleton_->maps;
  std::vector<Slot> slots = {
      {maps.PREFIX_V4, index, generation.v4_.prefixes.get()},
      {maps.PREFIX_V6, index, generation.v6_.prefixes.get()},
      {maps.BANS_V4, index, generation.v4_.bans.get()},
      {maps.BANS_V6, index, generation.v6_.bans.get()},
      {maps.PREFIX_HITS, index, generation.prefix_hits_.get()},
  };
  for (std::uint32_t shard = 0; shard < GUARD_SHARDS; ++shard) {
    const std::uint32_t at = index * GUARD_SHARDS + shard;
    slots.push_back({maps.EXACT_V4, at, generation.v4_.exact[shard].get()});
    slots.push_back({maps.EXACT_V6, at, generation.v6_.exact[shard].get()});
  }
  return slots;
}

Result<void> XdpFilter::fill_slots(std::uint32_t index, const XdpGeneration& generation) {
  for (const Slot& slot : slots_of(index, generation)) {
    if (bpf_map_update_elem(bpf_map__fd(slot.maps), &slot.index, &slot.map, BPF_ANY) != 0) {
      return fail_sys("cannot put a map into " + std::string(bpf_map__name(slot.maps)), errno);
    }
  }
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.GUARD_SETTINGS), &index,
                          &generation.settings_, BPF_ANY) != 0) {
    return fail_sys("cannot write the settings of the XDP filter", errno);
  }
  return {};
}

Result<XdpCounters> XdpFilter::counters() const {
  const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
  std::vector<std::uint64_t> per_cpu(cpus);
  XdpCounters counters;
  for (std::uint32_t key = 0; key < GUARD_COUNTERS; ++key) {
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.TRAFFIC_STATS), &key, per_cpu.data()) !=
        0) {
      return fail_sys("cannot read the counters of the XDP filter", errno);
    }
    std::uint64_t& count = counters.packets[key / GUARD_PROTOCOLS][key % GUARD_PROTOCOLS];
    for (const std::uint64_t part : per_cpu) count += part;
  }
  return counters;
}

}  // namespace sni
