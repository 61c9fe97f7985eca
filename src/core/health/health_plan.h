#pragma once

// What is checked: each backend once, however many routes name it, as the first route says that names
// it with a health check.

#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/route/route_table.h"

namespace sni {

struct HealthTarget {
  BackendRef backend;  // With addresses of its own: no "{name}", no service.
  HealthConfig config;
  std::string server_name;  // That a ClientHello asks for; empty: none.
  SourceConfig source;      // Of the route.
  ProxyVersion send_proxy = ProxyVersion::none;
};

std::vector<HealthTarget> health_targets(const Config& config, const RouteTable& routes);

// The name that stands for a route: its first exact one, else "www" in place of a wildcard's "*",
// else none, as for those that are expressions.
std::string name_to_ask_for(const RouteConfig& route);

}  // namespace sni
