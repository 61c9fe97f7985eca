#include "net/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "net/log_writer.h"

namespace sni {

namespace {

constexpr std::string_view access_logger = "access";

std::atomic<LogFormat> current_format{LogFormat::text};
std::atomic<spdlog::level::level_enum> current_level{spdlog::level::off};
std::atomic<std::shared_ptr<LogWriter>> current_writer;
std::uint64_t lost_before = 0;
std::atomic<LogLevel> configured_level{LogLevel::info};

// A line in the format that is configured by then. JSON is one object a line. An access line is an
// object already: its members are taken over.
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

// Lines of everybody but the connections.
class QueueSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit QueueSink(std::shared_ptr<LogWriter> writer)
      : base_sink(std::make_unique<LineFormatter>()), writer_(std::move(writer)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer_->put({line.data(), line.size()}, 1);
  }
  void flush_() override {}

 private:
  std::shared_ptr<LogWriter> writer_;
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
  auto writer = std::make_shared<LogWriter>(STDERR_FILENO);
  current_writer = writer;
  lost_before = 0;
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("sni-proxy", std::make_shared<QueueSink>(writer)));
  configure_logging(config);
}

void configure_logging(const LogConfig& config) {
  current_format.store(config.format, std::memory_order_relaxed);
  set_log_level(config.level);
}

void set_log_level(LogLevel level) {
  configured_level.store(level, std::memory_order_relaxed);
  current_level.store(level_of(level), std::memory_order_relaxed);
  spdlog::set_level(level_of(level));
}

LogLevel log_level_now() {
  return configured_level.load(std::memory_order_relaxed);
}

bool stop_logging() {
  report_dropped_lines();
  // Whoever still logs finds a logger, which says nothing.
  current_level.store(spdlog::level::off, std::memory_order_relaxed);
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("ended", std::make_shared<spdlog::sinks::null_sink_mt>()));
  const auto writer = current_writer.exchange(nullptr);
  return writer == nullptr || writer->stop(flush_patience);
}

bool access_lines_wanted() {
  return current_level.load(std::memory_order_relaxed) <= spdlog::level::info;
}

bool debug_lines_wanted() {
  return current_level.load(std::memory_order_relaxed) <= spdlog::level::debug;
}

void AccessLines::add(std::string_view line) {
  if (!access_lines_wanted()) return;
  // It keeps the text of the second that it is in, and is for one thread.
  thread_local LineFormatter formatter;
  spdlog::memory_buf_t formatted;
  formatter.format(
      {spdlog::string_view_t(access_logger), spdlog::level::info, spdlog::string_view_t(line)},
      formatted);
  text_.append(formatted.data(), formatted.size());
  ++lines_;
  if (text_.size() >= bytes_max) hand_over();
}

void AccessLines::hand_over_text() {
  if (const auto writer = current_writer.load()) writer->put(text_, lines_);
  text_.clear();
  lines_ = 0;
}

LogFormat log_format() {
  return current_format.load(std::memory_order_relaxed);
}

std::uint64_t dropped_log_lines() {
  const auto writer = current_writer.load();
  return writer == nullptr ? 0 : writer->lost();
}

void report_dropped_lines() {
  const auto writer = current_writer.load();
  const std::uint64_t lost = writer == nullptr ? 0 : writer->lost();
  if (lost <= lost_before) return;
  spdlog::warn("{} log lines were dropped: whoever reads stderr is too slow", lost - lost_before);
  lost_before = lost;
}

}  // namespace sni
