#pragma once

// One immutable state of the configuration and all that is derived from it. A reload builds a new
// one and every worker takes it between two completions. A connection keeps it until its route is
// known, and then only what it needs: its route, its listener and the settings.

#include <memory>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/route/forward_policy.h"
#include "core/route/route_table.h"
#include "net/dns/system_names.h"
#include "net/flow/flow_settings.h"

namespace sni {

struct Snapshot {
  Config config;
  RouteTable routes;
  std::vector<ListenerEndpoint> listeners;
  std::vector<std::shared_ptr<const ListenerConfig>> listener_configs;  // Of config, to be kept.
  std::vector<IpAddress> own_addresses;
  std::shared_ptr<const SystemNames> system_names;
  std::shared_ptr<const FlowSettings> settings;

  ForwardPolicy policy() const { return {.listeners = listeners, .own_addresses = own_addresses}; }
};

// Reads interfaces, /etc/hosts and resolv.conf, and raises the soft limit of open files to the hard
// one. Errors name what cannot be read.
Result<std::shared_ptr<const Snapshot>> make_snapshot(Config config, BackendTable& backends);

}  // namespace sni
