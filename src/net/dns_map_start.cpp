#include "net/dns_map_start.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/limits.h"

namespace sni {

std::optional<DnsMap> start_dns_map(const Config& config) {
  if (config.fast_path.mode == FastPathMode::userspace) return std::nullopt;
  const std::uint32_t names =
      std::clamp(config.dns.cache_entries, limits::dns_map_names_min, limits::dns_map_names_max);
  const std::string& directory = config.fast_path.dns_pin;
  if (!directory.empty()) {
    auto pinned = DnsMap::open_pinned(directory, names);
    if (pinned) {
      spdlog::info("DNS_CACHE: map ready, {} in {}",
                   pinned->was_pinned() ? "found pinned" : "pinned", directory);
      return std::move(*pinned);
    }
    spdlog::warn("DNS_CACHE: {}; it is not kept over a restart", pinned.error().what);
  }
  auto created = DnsMap::create(names);
  if (!created) {
    spdlog::warn("DNS_CACHE: {}; each worker keeps its own answers alone", created.error().what);
    return std::nullopt;
  }
  spdlog::info("DNS_CACHE: map ready, {} names", names);
  return std::move(*created);
}

}  // namespace sni
