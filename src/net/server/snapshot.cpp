#include "net/server/snapshot.h"

#include <algorithm>
#include <string>

#include "core/counted.h"
#include "net/server/descriptor_budget.h"
#include "net/server/own_addresses.h"

namespace sni {

namespace {

// Descriptors besides the workers': stdin, stdout and stderr with inherited ones, signals, address
// and name events, timers, control, the guard, /dev/null and files of /etc while they are read; 16
// were observed. A kernel fast path has its programs and maps, of which 18 were observed; so has
// XDP.
constexpr std::uint64_t process_descriptors = 20;
constexpr std::uint64_t bpf_descriptors = 24;

bool has_name(const Backend& backend) {
  return backend.kind != Backend::Kind::address && backend.kind != Backend::Kind::unix_path;
}

bool has_names(const Config& config) {
  return std::ranges::any_of(config.routes, [](const RouteConfig& route) {
    return std::ranges::any_of(route.backends, has_name);
  });
}

// At most so many health checks run at once: one for each address. Few names have more than these.
std::uint64_t concurrent_checks(const Config& config) {
  constexpr std::uint64_t of_name = 8;
  std::uint64_t addresses = 0;
  for (const RouteConfig& route : config.routes) {
    if (route.health.empty()) continue;
    for (const Backend& backend : route.backends) addresses += has_name(backend) ? of_name : 1;
  }
  return std::min<std::uint64_t>(addresses, limits::health_checks_max);
}

DescriptorNeeds descriptor_needs(const Config& config, const SystemNames& names) {
  const std::size_t servers =
      config.dns.servers.empty() ? names.resolv_conf.servers.size() : config.dns.servers.size();
  const auto counted = static_cast<std::uint32_t>(std::min(servers, limits::dns_servers_max));
  const std::uint64_t limit = raised_descriptor_limit();
  // One more client is accepted before the oldest is dropped.
  std::uint64_t process = process_descriptors + control_clients(limit) + 1;
  if (!config.metrics.listen.empty()) process += scrape_clients(limit) + 2;
  if (config.fast_path.mode != FastPathMode::userspace) process += bpf_descriptors;
  if (!config.xdp.interfaces.empty()) process += bpf_descriptors;
  if (!config.healths.empty()) process += concurrent_checks(config) + counted + 1;
  return {.limit = limit,
          .process = process,
          .workers = std::max(config.workers, 1U),
          .listeners = static_cast<std::uint32_t>(config.listeners.size()),
          .name_servers = has_names(config) ? std::max(counted, 1U) : 0,
          .packet_plane = config.fast_path.mode == FastPathMode::packet ||
                          config.fast_path.mode == FastPathMode::automatic};
}

template <typename T>
std::shared_ptr<const T> owned(T object, Reaper* reaper) {
  return reaper != nullptr ? reaper->own(std::move(object))
                           : std::make_shared<const T>(std::move(object));
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> make_snapshot(Config config, BackendTable& backends,
                                                      std::shared_ptr<const SystemNames> known,
                                                      Reaper* reaper) {
  auto addresses = own_addresses();
  if (!addresses) return std::unexpected(addresses.error());
  auto names = load_system_names();
  if (!names) return std::unexpected(names.error());

  std::vector<ListenerEndpoint> listeners;
  std::vector<std::shared_ptr<const ListenerConfig>> listener_configs;
  for (const ListenerConfig& listener : config.listeners) {
    listeners.push_back({.endpoint = listener.address, .v6only = listener.v6only});
    listener_configs.push_back(std::make_shared<const ListenerConfig>(listener));
  }
  const DescriptorNeeds needs = descriptor_needs(config, *names);
  if (const std::uint64_t least = descriptors_to_start(needs); needs.limit < least) {
    return fail(counted(needs.workers, "worker") + " with " + counted(needs.listeners, "listener") +
                " need " + std::to_string(least) + " open files, and the limit is " +
                std::to_string(needs.limit) + " (ulimit -n, LimitNOFILE=)");
  }
  const DescriptorBudget possible = share_descriptors(needs);
  const std::uint32_t wanted = config.limits.connections;
  auto settings = std::make_shared<const FlowSettings>(FlowSettings{
      .timeouts = config.timeouts,
      .limits = config.limits,
      .abort_on_close = config.abort_on_close,
      .answers = config.answers,
      .tcp = config.tcp,
      .connections_max = wanted == 0 ? UINT32_MAX : wanted,
      .relayed_max = wanted == 0 ? possible.connections : std::min(wanted, possible.connections),
      .races_max = possible.races,
      .splices_max = possible.splices});
  RouteTable routes(config, backends);
  Settled settled{
      .config = std::move(config),
      .routes = std::move(routes),
      .listeners = std::move(listeners),
      .listener_configs = std::move(listener_configs),
      .settings = std::move(settings),
  };
  return std::shared_ptr<const Snapshot>(new Snapshot{
      .settled = owned(std::move(settled), reaper),
      .own = std::move(*addresses),
      .system_names = known != nullptr && *known == *names ? std::move(known)
                                                           : owned(*std::move(names), reaper)});
}

std::shared_ptr<const Snapshot> with_own_addresses(const Snapshot& snapshot,
                                                   OwnAddresses addresses) {
  return std::shared_ptr<const Snapshot>(new Snapshot{.settled = snapshot.settled,
                                                      .own = std::move(addresses),
                                                      .system_names = snapshot.system_names});
}

}  // namespace sni
