#pragma once

// What is checked: each backend once, however many routes name it. The first route that gives it a
// health check decides how.

#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/route/route_table.h"

namespace sni {

struct HealthTarget {
  BackendRef backend;  // Not of the client ("{name}").
  HealthConfig config;
  std::string server_name;  // For the SNI of a ClientHello; empty: none.
  SourceConfig source;      // Of the route.
  ProxyVersion send_proxy = ProxyVersion::none;
};

std::vector<HealthTarget> health_targets(const Config& config, const RouteTable& routes);

// The server name that a check of a route sends: the route's first exact name, else a wildcard with
// "www" for its "*". Routes that have only expressions give none.
std::string name_to_ask_for(const RouteConfig& route);

}  // namespace sni
