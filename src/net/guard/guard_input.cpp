#include "net/guard/guard_input.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "net/guard/admission.h"

namespace sni {
namespace {

std::uint32_t seconds_of(std::chrono::milliseconds duration) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

// Converts a wall-clock time to CLOCK_BOOTTIME; 0: it has passed.
GuardTime guard_time(const std::optional<std::chrono::sys_seconds>& until) {
  if (!until) return guard_never_expires;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto left = (*until - now).count();
  if (left <= 0) return 0;
  return static_cast<GuardTime>(
      std::min<std::int64_t>(guard_now() + left, guard_never_expires - 1));
}

}  // namespace

GuardInput guard_input(const Config& config, std::vector<AccessEntry> block_file) {
  GuardInput input{.access = config.access,
                   .block_file = std::move(block_file),
                   .bans = config.bans,
                   .listener_ports = {},
                   .proxies = {}};
  for (const ListenerConfig& listener : config.listeners) {
    input.listener_ports.push_back(listener.address.port);
    input.proxies.insert(input.proxies.end(), listener.accept_proxy_from.begin(),
                         listener.accept_proxy_from.end());
  }
  return input;
}

std::vector<GuardEntry> entries_of(const GuardInput& input) {
  std::vector<GuardEntry> entries;
  entries.reserve(input.access.block.size() + input.block_file.size() + input.access.allow.size());
  for (const auto* blocked : {&input.access.block, &input.block_file}) {
    for (const AccessEntry& entry : *blocked) {
      entries.push_back({.prefix = entry.prefix, .term = {.block_until = guard_time(entry.until)}});
    }
  }
  for (const AccessEntry& entry : input.access.allow) {
    entries.push_back({.prefix = entry.prefix, .term = {.allow_until = guard_time(entry.until)}});
  }
  return entries;
}

XdpSettings settings_of(const GuardInput& input) {
  return {.default_deny = !input.access.default_allow,
          .block_listeners = input.access.scope == BlockScope::listeners,
          .ban_length_v6 = input.bans.ipv6_prefix,
          .listener_ports = input.listener_ports};
}

bool reaches_proxy(const IpPrefix& banned, const std::vector<IpPrefix>& proxies) {
  return std::ranges::any_of(proxies, [&](const IpPrefix& proxy) {
    return covers(banned, proxy) || covers(proxy, banned);
  });
}

BanPolicy policy_of(const BansConfig& bans) {
  return {.first_s = seconds_of(bans.duration),
          .longest_s = seconds_of(bans.duration_max),
          .ipv6_length = bans.ipv6_prefix};
}

ConductLimits limits_of(const BansConfig& bans) {
  return {.connections_per_second = bans.connections_per_second,
          .refused_per_minute = bans.refused_per_minute,
          .bad_hellos_per_minute = bans.bad_hellos_per_minute};
}

}  // namespace sni
