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

bool ListenerConfig::is_proxy(const IpAddress& source) const {
  return std::ranges::any_of(accept_proxy_from,
                             [&](const IpPrefix& prefix) { return prefix.contains(source); });
}

}  // namespace sni
