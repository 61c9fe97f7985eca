#include "core/packet/flow_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sni {
namespace {

// How long the kernel retransmits by default (net.ipv4.tcp_retries2).
constexpr std::chrono::minutes unacknowledged_max{15};

std::uint64_t in_ns(std::chrono::milliseconds time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

// Packets may be newer than the caller's clock.
std::uint64_t since(std::uint64_t then_ns, std::uint64_t now_ns) {
  return now_ns > then_ns ? now_ns - then_ns : 0;
}

}  // namespace

std::uint64_t FlowWatch::active_ns(const SeenEnds& ends) const {
  const bool moved = ends[0].acked != sides_[0].acked || ends[1].acked != sides_[1].acked;
  return moved ? std::max(ends[0].last_ns, ends[1].last_ns) : active_ns_;
}

FlowWatch::Finding FlowWatch::look(const SeenEnds& ends, const TcpConfig& tcp,
                                   std::uint64_t now_ns) {
  active_ns_ = active_ns(ends);
  for (const std::size_t side : {0UZ, 1UZ}) {
    SideState& state = sides_[side];
    const bool moved = std::exchange(state.acked, ends[side].acked) != ends[side].acked;
    if (!ends[side].unacked) {
      state.waits_ns = 0;
    } else if (moved || state.waits_ns == 0) {
      state.waits_ns = now_ns;
    }
  }
  Finding finding;
  for (const std::size_t side : {0UZ, 1UZ}) {
    if (!is_lost(side, ends, tcp, now_ns, finding.probe[side])) continue;
    finding.end = side == 0 ? EndReason::client_lost : EndReason::backend_lost;
    return finding;
  }
  const bool draining = ends[0].fin || ends[1].fin;
  const auto limit = draining ? timeouts_.half_closed : timeouts_.idle;
  if (since(active_ns_, now_ns) <= in_ns(limit)) return finding;
  finding.end = limit < timeouts_.idle ? EndReason::half_closed_timeout : EndReason::idle_timeout;
  return finding;
}

bool FlowWatch::is_lost(std::size_t side, const SeenEnds& ends, const TcpConfig& tcp,
                        std::uint64_t now_ns, bool& probe) {
  SideState& state = sides_[side];
  std::uint32_t& probes = probes_[side];
  const SideState& other = sides_[1 - side];
  const std::uint64_t user_timeout = in_ns(tcp.user_timeout);
  // While it owes acknowledgements, the other end's retransmissions probe it.
  if (other.waits_ns != 0) {
    probes = 0;
    const std::uint64_t waited = since(other.waits_ns, now_ns);
    if (user_timeout != 0) return waited > user_timeout;
    // A stalled reader answers without taking the bytes.
    return std::min(waited, since(ends[side].last_ns, now_ns)) > in_ns(unacknowledged_max);
  }
  // Compares equal, not later: an answer's time may be coarse, and so before the probe's.
  if (std::exchange(state.last_ns, ends[side].last_ns) != ends[side].last_ns) probes = 0;
  const std::uint64_t silent = since(ends[side].last_ns, now_ns);
  if (silent < in_ns(tcp.keepalive_idle)) {
    probes = 0;
    return false;
  }
  if (probes > 0) {
    if (since(state.probed_ns, now_ns) < in_ns(tcp.keepalive_interval)) return false;
    // A user timeout takes the place of the number of probes.
    if (user_timeout != 0 ? silent >= user_timeout : probes >= tcp.keepalive_probes) {
      return true;
    }
  }
  ++probes;
  state.probed_ns = now_ns;
  probe = true;
  return false;
}

}  // namespace sni
