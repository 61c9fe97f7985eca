#pragma once

// Writes stats.file in a thread of its own, since a slow disk would keep the main thread from
// commands, scrapers and the watchdog.

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
  // Writes what is queued.
  ~StatsWriter() = default;
  StatsWriter(const StatsWriter&) = delete;
  StatsWriter& operator=(const StatsWriter&) = delete;

  // Queues new contents of the file. If the disk is slow, only the latest are written. A failure is
  // logged once as long as it stays the same.
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
