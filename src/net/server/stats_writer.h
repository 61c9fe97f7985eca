#pragma once

// Writes stats.file beside the main thread, which a slow disk would keep from commands, scrapers and
// the watchdog.

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/traffic/traffic_store.h"

namespace sni {

class StatsWriter {
 public:
  explicit StatsWriter(std::string path);
  // Writes what waits.
  ~StatsWriter() = default;
  StatsWriter(const StatsWriter&) = delete;
  StatsWriter& operator=(const StatsWriter&) = delete;

  // The file is to hold this. Where the disk is slow, only the latest one is written. What fails is
  // logged, once for as long as it fails alike.
  void put(TrafficStore store);

 private:
  void run(const std::stop_token& stop);

  const std::string path_;
  std::mutex mutex_;
  std::condition_variable_any filled_;
  std::optional<TrafficStore> waiting_;
  std::jthread thread_;  // Ends first.
};

}  // namespace sni
