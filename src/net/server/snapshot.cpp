#include "net/server/snapshot.h"

#include <sys/resource.h>

#include <algorithm>

#include "net/server/own_addresses.h"

namespace sni {

namespace {

// A connection has two descriptors. The rest is for rings, resolvers, BPF and the log.
constexpr std::uint64_t descriptors_reserved = 256;
constexpr std::uint64_t descriptors_per_worker = 2 * limits::splices_max;  // Pipes have two ends.
constexpr std::uint64_t descriptors_per_connection = 2;
constexpr std::uint64_t connections_ceiling = 1u << 24;  // Slot numbers, with room to spare.

std::uint32_t connections_by_descriptors(std::uint32_t workers, std::size_t listeners) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
  }
  // Very small limits keep half for connections, so that there is something to serve with.
  const std::uint64_t reserved = std::min<std::uint64_t>(
      descriptors_reserved + workers * (descriptors_per_worker + listeners), files.rlim_cur / 2);
  const std::uint64_t count = (files.rlim_cur - reserved) / descriptors_per_connection;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(count, 1, connections_ceiling));
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> make_snapshot(Config config, BackendTable& backends,
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
  const std::uint32_t possible = connections_by_descriptors(config.workers, listeners.size());
  const std::uint32_t wanted = config.limits.connections;
  auto settings = std::make_shared<const FlowSettings>(
      FlowSettings{.timeouts = config.timeouts,
                   .limits = config.limits,
                   .abort_on_close = config.abort_on_close,
                   .answers = config.answers,
                   .tcp = config.tcp,
                   .connections_max = wanted == 0 ? possible : std::min(wanted, possible)});
  RouteTable routes(config, backends);
  Settled settled{
      .config = std::move(config),
      .routes = std::move(routes),
      .listeners = std::move(listeners),
      .listener_configs = std::move(listener_configs),
      .settings = std::move(settings),
  };
  return std::shared_ptr<const Snapshot>(new Snapshot{
      .settled = reaper != nullptr ? reaper->own(std::move(settled))
                                   : std::make_shared<const Settled>(std::move(settled)),
      .own_addresses = std::move(*addresses),
      .system_names = std::move(*names)});
}

std::shared_ptr<const Snapshot> with_own_addresses(const Snapshot& snapshot,
                                                   std::vector<IpAddress> addresses) {
  return std::shared_ptr<const Snapshot>(new Snapshot{.settled = snapshot.settled,
                                                      .own_addresses = std::move(addresses),
                                                      .system_names = snapshot.system_names});
}

}  // namespace sni
