#include "core/health/health_plan.h"

#include <algorithm>
#include <unordered_set>

namespace sni {

std::string name_to_ask_for(const RouteConfig& route) {
  const auto is_exact = [](const std::string& name) {
    return name != "-" && !name.starts_with('*') && !is_name_regex(name);
  };
  const auto exact = std::ranges::find_if(route.names, is_exact);
  if (exact != route.names.end()) return *exact;
  const auto is_wildcard = [](const std::string& name) { return name.starts_with("*."); };
  const auto wildcard = std::ranges::find_if(route.names, is_wildcard);
  return wildcard == route.names.end() ? std::string() : "www" + wildcard->substr(1);
}

std::vector<HealthTarget> health_targets(const Config& config, const RouteTable& routes) {
  std::vector<HealthTarget> targets;
  if (config.healths.empty()) return targets;
  std::unordered_set<BackendId> known;
  for (const RouteRef& route : routes.routes()) {
    const auto health =
        std::ranges::find(config.healths, route->config.health, &HealthConfig::name);
    if (route->config.health.empty() || health == config.healths.end()) continue;
    for (const BackendRef& backend : route->backends) {
      if (backend->backend.is_of_client()) continue;
      if (!known.insert(backend->id).second) continue;
      targets.push_back({.backend = backend,
                         .config = *health,
                         .server_name = name_to_ask_for(route->config),
                         .source = route->config.source,
                         .send_proxy = route->send_proxy(&backend->backend).version});
    }
  }
  return targets;
}

}  // namespace sni
