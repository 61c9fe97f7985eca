#pragma once

// One immutable state of the configuration and of this host, and all that is derived from them. A
// reload builds a new one and every worker takes it between two completions. A connection keeps it
// until its route is known, and then only what it needs: its route, its listener and the settings.
//
// What follows from the configuration is shared by the snapshots that differ in the host alone: an
// address comes or goes with each container, and that must cost neither time nor memory with the
// number of routes.

#include <memory>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/route/forward_policy.h"
#include "core/route/route_table.h"
#include "net/dns/system_names.h"
#include "net/flow/flow_settings.h"
#include "net/server/reaper.h"

namespace sni {

// What follows from a configuration.
struct Settled {
  Config config;
  RouteTable routes;
  std::vector<ListenerEndpoint> listeners;
  std::vector<std::shared_ptr<const ListenerConfig>> listener_configs;  // Of config, to be kept.
  std::shared_ptr<const FlowSettings> settings;
};

struct Snapshot {
  std::shared_ptr<const Settled> settled;
  std::vector<IpAddress> own_addresses;
  std::shared_ptr<const SystemNames> system_names;

  const Config& config = settled->config;
  const RouteTable& routes = settled->routes;
  const std::vector<ListenerEndpoint>& listeners = settled->listeners;
  const std::vector<std::shared_ptr<const ListenerConfig>>& listener_configs =
      settled->listener_configs;
  const std::shared_ptr<const FlowSettings>& settings = settled->settings;

  ForwardPolicy policy() const { return {.listeners = listeners, .own_addresses = own_addresses}; }
};

// Reads interfaces, /etc/hosts and resolv.conf, and raises the soft limit of open files to the hard
// one. Errors name what cannot be read. `reaper`, if given, frees what follows from the
// configuration, and outlives all that share it.
Result<std::shared_ptr<const Snapshot>> make_snapshot(Config config, BackendTable& backends,
                                                      Reaper* reaper = nullptr);

// The same configuration on a host that has other addresses by now.
std::shared_ptr<const Snapshot> with_own_addresses(const Snapshot& snapshot,
                                                   std::vector<IpAddress> addresses);

}  // namespace sni
