#pragma once

// The guard's input, the configuration and its block file, and what its parts derive from them.

#include <cstdint>
#include <vector>

#include "bpf/xdp/xdp_generation.h"
#include "core/config/config.h"
#include "core/guard/guard_bans.h"
#include "core/guard/guard_entry.h"
#include "core/guard/guard_watch.h"

namespace sni {

struct GuardInput {
  AccessConfig access;
  std::vector<AccessEntry> block_file;
  BansConfig bans;
  std::vector<std::uint16_t> listener_ports;
  std::vector<IpPrefix> proxies;  // The senders of PROXY headers, of all listeners.
};
GuardInput guard_input(const Config& config, std::vector<AccessEntry> block_file);

std::vector<GuardEntry> entries_of(const GuardInput& input);
XdpSettings settings_of(const GuardInput& input);
// Whether a ban in the kernel's maps would also drop packets of one of them: it sees no more than
// the proxy's address, and a ban of an IPv6 client covers its neighbours.
bool reaches_proxy(const IpPrefix& banned, const std::vector<IpPrefix>& proxies);
BanPolicy policy_of(const BansConfig& bans);
ConductLimits limits_of(const BansConfig& bans);

}  // namespace sni
