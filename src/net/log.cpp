#include "net/log.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

namespace sni {

namespace {

constexpr std::size_t queue_lines = 8192;
constexpr std::string_view access_logger = "access";

std::atomic<LogFormat> current_format{LogFormat::text};
std::shared_ptr<spdlog::logger> access_lines;
std::size_t dropped_before = 0;

// A line in the format that is configured by then: to give the sink another formatter at a reload
// would wait for the write that it is in, and so for whoever does not read stderr. JSON is one
// object a line. An access line is an object already: its members are taken over.
class LineFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    if (log_format() == LogFormat::text) return text_.format(message, out);
    json_prefix_.format(message, out);
    const std::string_view text(message.payload.data(), message.payload.size());
    const std::string_view name(message.logger_name.data(), message.logger_name.size());
    const auto append = [&out](std::string_view part) {
      out.append(part.data(), part.data() + part.size());
    };
    // A line may have been made as text before a reload asked for JSON.
    if (name == access_logger && text.starts_with('{')) {
      append(",");
      append(text.substr(1));  // Without the opening brace.
    } else {
      append(",\"message\":");
      // Invalid UTF-8 becomes U+FFFD; everything but ASCII is escaped.
      append(nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
      append("}");
    }
    append("\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>();
  }

 private:
  spdlog::pattern_formatter text_{"%Y-%m-%dT%H:%M:%S.%e%z %l %v"};
  spdlog::pattern_formatter json_prefix_{R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l")",
                                         spdlog::pattern_time_type::local, ""};
};

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void start_logging(const LogConfig& config) {
  spdlog::init_thread_pool(queue_lines, 1);
  dropped_before = 0;
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  const auto make = [&sink](std::string_view name) {
    return std::make_shared<spdlog::async_logger>(std::string(name), sink, spdlog::thread_pool(),
                                                  spdlog::async_overflow_policy::overrun_oldest);
  };
  access_lines = make(access_logger);
  spdlog::set_default_logger(make("sni-proxy"));
  spdlog::register_logger(access_lines);
  spdlog::set_formatter(std::make_unique<LineFormatter>());
  configure_logging(config);
}

void configure_logging(const LogConfig& config) {
  current_format.store(config.format, std::memory_order_relaxed);
  spdlog::set_level(level_of(config.level));
}

bool stop_logging() {
  report_dropped_lines();
  std::promise<void> done;
  auto flushed = done.get_future();
  // Whoever still logs finds a logger, which says nothing.
  std::array loggers{std::exchange(access_lines, nullptr), spdlog::default_logger()};
  spdlog::drop(std::string(access_logger));
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("ended", std::make_shared<spdlog::sinks::null_sink_mt>()));
  // The loggers and their sink go after the thread that writes to it, which goes with its pool.
  std::thread flush([promise = std::move(done), kept = std::move(loggers)]() mutable {
    spdlog::details::registry::instance().set_tp(nullptr);
    kept = {};
    promise.set_value();
  });
  if (flushed.wait_for(flush_patience) == std::future_status::ready) {
    flush.join();
    return true;
  }
  flush.detach();
  return false;
}

bool access_lines_wanted() {
  return access_lines != nullptr && access_lines->should_log(spdlog::level::info);
}

bool debug_lines_wanted() {
  return access_lines != nullptr && access_lines->should_log(spdlog::level::debug);
}

void log_access(std::string_view line) {
  if (access_lines != nullptr) access_lines->info(line);
}

LogFormat log_format() {
  return current_format.load(std::memory_order_relaxed);
}

void report_dropped_lines() {
  const auto pool = spdlog::thread_pool();
  const std::size_t dropped = pool == nullptr ? 0 : pool->overrun_counter();
  if (dropped == dropped_before) return;
  spdlog::warn("{} log lines were dropped: whoever reads stderr is too slow",
               dropped - dropped_before);
  dropped_before = dropped;
}

}  // namespace sni
