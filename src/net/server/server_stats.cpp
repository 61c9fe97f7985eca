// stats.file: traffic of earlier processes, and of this one for later ones.

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdio>
#include <utility>
#include <vector>

#include "net/random_key.h"
#include "net/server/server.h"
#include "net/server/stats_file.h"
#include "net/server/stats_writer.h"

namespace sni {

namespace {

std::vector<TrafficKind> all_kinds() {
  std::vector<TrafficKind> kinds;
  for (std::size_t i = 0; i < traffic_kinds; ++i) kinds.push_back(static_cast<TrafficKind>(i));
  return kinds;
}

}  // namespace

// A file that cannot be parsed is renamed, so that an operator's mistake loses nothing.
void Server::read_stats(const StatsConfig& config) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  before_.since_s =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
  if (config.file.empty()) return;
  stats_writer_ = std::make_unique<StatsWriter>(config.file);
  stats_due_ms_ = monotonic_ms() + static_cast<std::uint64_t>(config.interval.count());
  auto store = read_stats_file(config.file);
  if (store && *store) before_ = std::move(**store);
  if (store) return;
  const std::string aside = config.file + ".broken";
  const bool moved = std::rename(config.file.c_str(), aside.c_str()) == 0;
  spdlog::warn("stats.file: {}; counting begins again{}", store.error().what,
               moved ? ", and the file is " + aside + " now" : "");
}

// A reload may have shortened the interval.
void Server::hasten_stats() {
  const auto interval = static_cast<std::uint64_t>(snapshot_->config.stats.interval.count());
  if (stats_due_ms_) stats_due_ms_ = std::min(*stats_due_ms_, monotonic_ms() + interval);
}

void Server::save_stats() {
  stats_due_ms_.reset();
  gather_traffic(all_kinds(), [this](const TrafficAnswer& answer) {
    const auto interval = snapshot_->config.stats.interval;
    stats_due_ms_ = monotonic_ms() + static_cast<std::uint64_t>(interval.count());
    // The traffic of a worker that did not answer is not lost: the next answer has it.
    if (answer.unanswered.empty()) keep_stats(answer.sums);
  });
}

// To be called once the workers have ended.
void Server::save_last_stats() {
  if (stats_writer_ == nullptr) return;
  const std::vector<TrafficKind> kinds = all_kinds();
  std::vector<TrafficSum> sums(kinds.size(), TrafficSum(random_key()));
  for (const auto& worker : workers_) {
    const auto reports = worker->traffic_reports(kinds);
    for (std::size_t i = 0; i < reports.size(); ++i) sums[i].add(reports[i]);
  }
  keep_stats(std::move(sums));
}

void Server::keep_stats(std::vector<TrafficSum> sums) {
  TrafficStore store{.since_s = before_.since_s, .reports = {}};
  for (std::size_t i = 0; i < traffic_kinds; ++i) {
    sums[i].add(before_.reports[i]);
    store.reports[i] = sums[i].heaviest(limits::traffic_entries);
  }
  stats_writer_->put(std::move(store));
}

}  // namespace sni
