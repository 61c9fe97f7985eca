// The metrics of the process for scrapers.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/metrics/metrics_text.h"
#include "net/log.h"
#include "net/metrics/metrics_server.h"
#include "net/server/descriptor_budget.h"
#include "net/server/server.h"

namespace sni {

namespace {

// The kinds of traffic that are exported, and how many keys of each have a label; the last two are
// names and addresses from the network.
struct Exported {
  TrafficKind kind;
  std::size_t labels;
};
std::vector<Exported> exported(const MetricsConfig& config) {
  std::vector<Exported> all;
  for (const TrafficKind kind :
       {TrafficKind::listener, TrafficKind::route, TrafficKind::backend, TrafficKind::plane}) {
    all.push_back({.kind = kind, .labels = limits::traffic_top_max});
  }
  if (config.names > 0) all.push_back({.kind = TrafficKind::name, .labels = config.names});
  if (config.sources > 0) all.push_back({.kind = TrafficKind::source, .labels = config.sources});
  return all;
}

std::uint64_t since_epoch_s(std::chrono::system_clock::time_point time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

}  // namespace

// If metrics are configured, a failure to listen is an error.
Result<void> Server::open_metrics(const MetricsConfig& config) {
  if (config.listen.empty()) return {};
  auto server = MetricsServer::listen(config.listen, *this, scrape_clients(descriptor_limit()));
  if (!server) return std::unexpected(server.error());
  metrics_ = std::move(*server);
  spdlog::info("serving metrics on {}", config.listen);
  return {};
}

bool Server::ready() const {
  return !draining_ &&
         std::ranges::none_of(workers_, [](const auto& worker) { return worker->ended(); });
}

// Scrapers that arrive while the workers are asked get the same answer.
void Server::metrics(MetricsReply reply) {
  scrapers_.push_back(std::move(reply));
  if (scrapers_.size() > 1) return;
  std::vector<TrafficKind> kinds;
  for (const Exported& each : exported(snapshot_->config.metrics)) kinds.push_back(each.kind);
  gather_traffic(kinds, [this, kinds](const TrafficAnswer& answer) {
    const std::string text = metrics_now(kinds, answer);
    for (const MetricsReply& each : std::exchange(scrapers_, {})) each(text);
  });
}

// A reload may have changed what is exported since `traffic` was requested.
std::string Server::metrics_now(const std::vector<TrafficKind>& kinds,
                                const TrafficAnswer& traffic) const {
  std::vector<TrafficFamily> families;
  for (const Exported& each : exported(snapshot_->config.metrics)) {
    const auto found = std::ranges::find(kinds, each.kind);
    if (found == kinds.end()) continue;
    const TrafficSum& sum = traffic.sums[static_cast<std::size_t>(found - kinds.begin())];
    families.push_back({.kind = each.kind, .report = sum.heaviest(each.labels)});
  }
  std::vector<const Counters*> counters;
  for (const auto& worker : workers_) counters.push_back(&worker->counters());
  const auto& sockhash = shared_.fast_path.sockhash;
  const auto ended =
      std::ranges::count_if(workers_, [](const auto& worker) { return worker->ended(); });
  const auto age = std::chrono::steady_clock::now() - started_;
  const auto started = std::chrono::system_clock::now() -
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(age);
  return metrics_text(totals(), counters,
                      {.version = version_,
                       .serving = ready(),
                       .started_s = since_epoch_s(started),
                       .config_loaded_s = since_epoch_s(loaded_at_),
                       .reloads_failed = reloads_failed_,
                       .workers = static_cast<std::uint32_t>(workers_.size()),
                       .workers_ended = static_cast<std::uint32_t>(ended),
                       .connections = shared_.connections.load(std::memory_order_relaxed),
                       .relayed = shared_.relayed.load(std::memory_order_relaxed),
                       .relayed_max = snapshot_->settings->relayed_max,
                       .pending_hellos = shared_.pending_hellos.load(std::memory_order_relaxed),
                       .hello_bytes = shared_.flights.used.load(std::memory_order_relaxed),
                       .relay_bytes = shared_.relay_memory.used(),
                       .descriptors = open_descriptors(),
                       .descriptors_max = descriptor_limit(),
                       .log_lines_dropped = dropped_log_lines(),
                       .workers_silent = static_cast<std::uint32_t>(traffic.unanswered.size()),
                       .xdp_drops = guard_->xdp_drops(),
                       .sockhash_backlog_peak = sockhash ? sockhash->backlog_peak() : 0},
                      families);
}

}  // namespace sni
