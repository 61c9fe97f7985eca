#pragma once

// One immutable state of the configuration and of this host, and all that is derived from them. A
// reload builds a new one, and every worker switches to it between two completions. A connection
// keeps it until its route is known, and then only its route, its listener and the settings.
//
// Snapshots that differ only in the host's state share everything derived from the configuration:
// each container adds or removes an address, and the cost of that must not depend on the number of
// routes.

#include <memory>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/route/forward_policy.h"
#include "core/route/route_table.h"
#include "net/dns/system_names.h"
#include "net/flow/flow_settings.h"
#include "net/server/own_addresses.h"
#include "net/server/reaper.h"

namespace sni {

// Everything derived from a configuration.
struct Settled {
  Config config;
  RouteTable routes;
  std::vector<ListenerEndpoint> listeners;
  // Of config, to be kept by connections.
  std::vector<std::shared_ptr<const ListenerConfig>> listener_configs;
  std::shared_ptr<const FlowSettings> settings;
};

struct Snapshot {
  std::shared_ptr<const Settled> settled;
  OwnAddresses own;
  std::shared_ptr<const SystemNames> system_names;

  const Config& config = settled->config;
  const RouteTable& routes = settled->routes;
  const std::vector<ListenerEndpoint>& listeners = settled->listeners;
  const std::vector<std::shared_ptr<const ListenerConfig>>& listener_configs =
      settled->listener_configs;
  const std::shared_ptr<const FlowSettings>& settings = settled->settings;

  ForwardPolicy policy() const {
    return {.listeners = listeners, .own_addresses = own.addresses, .own_prefixes = own.prefixes};
  }
};

// Reads interfaces, /etc/hosts and resolv.conf, and raises the soft limit of open files to the hard
// one. Errors name what cannot be read. `known` are the names so far, which stay if they are the same.
// `reaper`, if given, frees what is large: the data derived from the configuration, and the names.
// It outlives all their owners.
Result<std::shared_ptr<const Snapshot>> make_snapshot(
    Config config, BackendTable& backends, std::shared_ptr<const SystemNames> known = nullptr,
    Reaper* reaper = nullptr);

// The same configuration for new addresses of the host.
std::shared_ptr<const Snapshot> with_own_addresses(const Snapshot& snapshot,
                                                   OwnAddresses addresses);

}  // namespace sni
