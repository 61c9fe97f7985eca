#pragma once

// One immutable state of the configuration and all that is derived from it. A reload builds a new
// one and every worker takes it between two completions; a connection keeps the one it began with.

#include <memory>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/route/forward_policy.h"
#include "core/route/route_table.h"
#include "net/dns/system_names.h"

namespace sni {

struct Snapshot {
  Config config;
  RouteTable routes;
  std::vector<ListenerEndpoint> listeners;
  std::vector<IpAddress> own_addresses;
  std::shared_ptr<const SystemNames> system_names;
  std::uint32_t connections_max = 0;  // limits.connections, or what the descriptors allow.

  ForwardPolicy policy() const { return {.listeners = listeners, .own_addresses = own_addresses}; }
};

// Reads interfaces, /etc/hosts and resolv.conf, and raises the soft limit of open files to the hard
// one. Errors name what cannot be read.
Result<std::shared_ptr<const Snapshot>> make_snapshot(Config config);

}  // namespace sni
