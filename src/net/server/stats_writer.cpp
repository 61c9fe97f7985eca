#include "net/server/stats_writer.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <stop_token>
#include <utility>

#include "net/give_way.h"
#include "net/server/stats_file.h"

namespace sni {

namespace {

constexpr int stats_writer_nice = 10;  // It gives way to the workers.

}  // namespace

StatsWriter::StatsWriter(std::string path)
    : path_(std::move(path)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

void StatsWriter::put(TrafficStore store) {
  const std::lock_guard lock(mutex_);
  waiting_ = std::move(store);
  filled_.notify_one();
}

void StatsWriter::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "stats");
  give_way(stats_writer_nice);
  std::string complaint;
  for (;;) {
    TrafficStore store;
    {
      std::unique_lock lock(mutex_);
      if (!filled_.wait(lock, stop, [this] { return waiting_.has_value(); })) return;
      store = std::move(*waiting_);
      waiting_.reset();
    }
    const auto written = write_stats_file(path_, store);
    const std::string failure = written ? std::string() : written.error().what;
    const bool new_failure = !failure.empty() && failure != complaint;
    complaint = failure;
    if (new_failure) spdlog::warn("stats.file: {}", failure);
  }
}

}  // namespace sni
