#include "core/config/config.h"

#include <algorithm>

namespace sni {

std::chrono::milliseconds connect_timeout(const TimeoutConfig& timeouts, const RouteConfig& route) {
  return route.connect.count() != 0 ? route.connect : timeouts.connect;
}

std::chrono::milliseconds idle_timeout(const TimeoutConfig& timeouts,
                                       const ListenerConfig& listener, const RouteConfig& route) {
  if (route.idle.count() != 0) return route.idle;
  return listener.idle.count() != 0 ? listener.idle : timeouts.idle;
}

std::chrono::milliseconds half_closed_timeout(const TimeoutConfig& timeouts,
                                              const ListenerConfig& listener,
                                              const RouteConfig& route) {
  return std::min(idle_timeout(timeouts, listener, route), timeouts.half_closed);
}

bool ListenerConfig::is_proxy(const IpAddress& source) const {
  return std::ranges::any_of(accept_proxy_from,
                             [&](const IpPrefix& prefix) { return prefix.contains(source); });
}

}  // namespace sni
