#include "net/dns/dns_map_start.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/limits.h"

namespace sni {
namespace {

std::optional<DnsMap> usable(Result<DnsMap> map, spdlog::level::level_enum level,
                             const char* consequence) {
  if (map) return std::move(*map);
  spdlog::log(level, "DNS_CACHE: {}; {}", map.error().what, consequence);
  return std::nullopt;
}

}  // namespace

std::optional<DnsMap> start_dns_map(const Config& config) {
  if (config.fast_path.mode == FastPathMode::userspace) return std::nullopt;
  const std::uint32_t names =
      std::clamp(config.dns.cache_entries, limits::dns_map_names_min, limits::dns_map_names_max);
  if (const std::string& directory = config.fast_path.dns_pin; !directory.empty()) {
    auto pinned = usable(DnsMap::open_pinned(directory, names), spdlog::level::warn,
                         "it is not kept over a restart");
    if (pinned) {
      spdlog::debug("DNS_CACHE: map ready, {} in {}",
                    pinned->was_pinned() ? "found pinned" : "pinned", directory);
      return pinned;
    }
  }
  // The map was not requested, so a failure is not worth a warning.
  auto created =
      usable(DnsMap::create(names), spdlog::level::debug, "each worker has only its own answers");
  if (created) spdlog::debug("DNS_CACHE: map ready, {} names", names);
  return created;
}

}  // namespace sni
