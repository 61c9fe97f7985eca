#include "core/config/config.h"

#include <algorithm>

namespace sni {

std::chrono::milliseconds connect_timeout(const TimeoutConfig& timeouts, const RouteConfig& route) {
  return route.connect.count() != 0 ? route.connect : timeouts.connect;
}

IdleTimeouts idle_timeouts(const TimeoutConfig& timeouts, const ListenerConfig& listener,
                           const RouteConfig& route) {
  auto idle = listener.idle.count() != 0 ? listener.idle : timeouts.idle;
  if (route.idle.count() != 0) idle = route.idle;
  return {.idle = idle, .half_closed = std::min(idle, timeouts.half_closed)};
}

void renumber_interfaces(Config& config, const std::map<std::uint32_t, std::uint32_t>& moved) {
  const auto renumber = [&moved](std::uint32_t& index) {
    const auto found = moved.find(index);
    if (found != moved.end()) index = found->second;
  };
  for (ListenerConfig& listener : config.listeners) renumber(listener.address.scope);
  for (RouteConfig& route : config.routes) {
    for (Backend& backend : route.backends) renumber(backend.endpoint.scope);
  }
  for (UpstreamConfig& upstream : config.upstreams) renumber(upstream.address.endpoint.scope);
  for (Endpoint& server : config.dns.servers) renumber(server.scope);
  for (auto& [name, index] : config.interfaces) renumber(index);
}

bool ListenerConfig::is_proxy(const IpAddress& source) const {
  return std::ranges::any_of(accept_proxy_from,
                             [&](const IpPrefix& prefix) { return prefix.contains(source); });
}

}  // namespace sni
