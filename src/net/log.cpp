#include "net/log.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "bpf/libbpf_lines.h"
#include "core/counted.h"
#include "core/session/access_line.h"
#include "net/environment.h"
#include "net/journal.h"
#include "net/log_writer.h"

namespace sni {

namespace {

// A disk may stay full for days.
constexpr std::chrono::minutes drop_report_interval{1};

// The lines of these loggers may be JSON objects already.
constexpr std::string_view access_logger = "access";
constexpr std::string_view diagnostic_logger = "diagnostic";

std::atomic<LogFormat> current_format{LogFormat::text};
std::atomic<spdlog::level::level_enum> current_level{spdlog::level::off};
// A writer that may be replaced while others use it. Not an atomic: GCC 12's load() of a shared_ptr
// races with an exchange (it unlocks without release).
class WriterPlace {
 public:
  std::shared_ptr<LogWriter> now() const {
    const std::lock_guard lock(mutex_);
    return writer_;
  }
  std::shared_ptr<LogWriter> exchange(std::shared_ptr<LogWriter> next) {
    const std::lock_guard lock(mutex_);
    return std::exchange(writer_, std::move(next));
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<LogWriter> writer_;
};

WriterPlace stderr_writer;
WriterPlace access_writer;  // Empty: access lines go with the rest.
std::atomic<bool> has_access_file{false};
std::string access_path;                      // Only for the thread that configures the log.
std::atomic<std::uint64_t> lost_in_files{0};  // From closed access files.
std::uint64_t lost_before = 0;
std::uint64_t access_lost_before = 0;
std::chrono::steady_clock::time_point next_drop_report;
std::atomic<LogLevel> configured_level{LogLevel::info};
std::atomic<std::uint32_t> access_sample{1};
std::atomic<bool> to_journal{false};

// Lines for the journal go to its socket, as entries with fields; where it does not take them, as
// from a mount namespace without the socket, they go to stderr, from which it gets them too.
LogWriter::Write stderr_or_journal() {
  auto journal = to_journal.load(std::memory_order_relaxed) ? Journal::open() : std::nullopt;
  if (!journal) return LogWriter::to(STDERR_FILENO);
  return [journal = std::make_shared<Journal>(std::move(*journal)),
          plain = LogWriter::to(STDERR_FILENO)](std::string_view lines) {
    const std::string_view rest = journal->write(lines);
    return rest.empty() || plain(rest);
  };
}

// Priorities of syslog(3) by spdlog's levels.
std::string_view journal_priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return "<7>";
    case spdlog::level::info:
      return "<6>";
    case spdlog::level::warn:
      return "<4>";
    default:
      return "<3>";
  }
}

// Invalid UTF-8 becomes U+FFFD, and all non-ASCII characters are escaped.
std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// Formats a line in the currently configured format. JSON is one object a line. An access line
// and a diagnostic are objects already: their members are taken over.
class LineFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    if (to_journal.load(std::memory_order_relaxed) && !goes_to_file(message)) {
      const std::string_view priority = journal_priority(message.level);
      out.append(priority.data(), priority.data() + priority.size());
    }
    if (log_format() == LogFormat::text) return text_.format(message, out);
    json_prefix_.format(message, out);
    const std::string_view text(message.payload.data(), message.payload.size());
    const std::string_view name(message.logger_name.data(), message.logger_name.size());
    const auto append = [&out](std::string_view part) {
      out.append(part.data(), part.data() + part.size());
    };
    // A line may have been made as text before a reload switched to JSON.
    const bool may_be_object = name == access_logger || name == diagnostic_logger;
    if (may_be_object && text.starts_with('{')) {
      append(",");
      append(text.substr(1));  // Skips the opening brace.
    } else {
      append(",\"message\":");
      append(json_text(text));
      append("}");
    }
    append("\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>();
  }

 private:
  static bool goes_to_file(const spdlog::details::log_msg& message) {
    return has_access_file.load(std::memory_order_relaxed) &&
           std::string_view(message.logger_name.data(), message.logger_name.size()) ==
               access_logger;
  }

  spdlog::pattern_formatter text_{"%Y-%m-%dT%H:%M:%S.%e%z %l %v"};
  spdlog::pattern_formatter json_prefix_{R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l")",
                                         spdlog::pattern_time_type::local, ""};
};

// All lines except access lines.
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

// Writes out its queue. False: it hangs.
bool close_access_writer(const std::shared_ptr<LogWriter>& writer) {
  if (writer == nullptr) return true;
  const bool written = writer->stop(flush_timeout);
  lost_in_files.fetch_add(writer->lost(), std::memory_order_relaxed);
  return written;
}

std::uint64_t lost_access_lines() {
  const auto writer = access_writer.now();
  return lost_in_files.load(std::memory_order_relaxed) + (writer == nullptr ? 0 : writer->lost());
}

}  // namespace

// systemd gives the device and inode of its stream in $JOURNAL_STREAM (systemd.exec(5)).
bool stderr_is_journal() {
  const std::string_view stream = environment("JOURNAL_STREAM");
  struct stat status{};
  return !stream.empty() && fstat(STDERR_FILENO, &status) == 0 &&
         stream == std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

void start_logging(const LogConfig& config) {
  to_journal.store(stderr_is_journal(), std::memory_order_relaxed);
  auto writer = std::make_shared<LogWriter>(stderr_or_journal());
  stderr_writer.exchange(writer);
  lost_before = 0;
  next_drop_report = {};
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("sni-proxy", std::make_shared<QueueSink>(writer)));
  configure_logging(config);
  tell_libbpf_lines([](std::string_view line) { spdlog::debug("{}", escape_for_log(line)); });
}

void configure_logging(const LogConfig& config) {
  current_format.store(config.format, std::memory_order_relaxed);
  access_sample.store(config.access_sample, std::memory_order_relaxed);
  set_log_level(config.level);
}

Result<void> open_access_file(const std::string& path) {
  std::shared_ptr<LogWriter> writer;
  if (!path.empty()) {
    // A FIFO that nobody reads would hold open() up; only the writer's thread may wait for a reader.
    constexpr int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    const std::string act = "cannot open log.access_file " + path;
    UniqueFd file = UniqueFd::adopt(::open(path.c_str(), flags, 0640));
    if (!file) {
      const int why = errno;
      const bool unread = why == ENXIO && std::filesystem::is_fifo(path);
      return unread ? fail(act + ": no process reads this FIFO") : fail_sys(act, why);
    }
    fcntl(file.get(), F_SETFL, O_APPEND);
    writer = std::make_shared<LogWriter>(std::move(file));
  }
  access_path = path;
  has_access_file.store(writer != nullptr, std::memory_order_relaxed);
  close_access_writer(access_writer.exchange(std::move(writer)));
  return {};
}

void log_diagnostic(const Diagnostic& diagnostic, std::string_view context) {
  const auto level =
      diagnostic.severity == Severity::error ? spdlog::level::err : spdlog::level::warn;
  const std::string message = std::string(context) + diagnostic.located();
  const auto log = spdlog::default_logger()->clone(std::string(diagnostic_logger));
  if (log_format() == LogFormat::text) return log->log(level, message);
  log->log(level, json_text({{"message", message},
                             {"file", diagnostic.file},
                             {"line", diagnostic.position.line},
                             {"column", diagnostic.position.column}}));
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
  next_drop_report = {};
  report_dropped_lines();
  // Threads that still live may log meanwhile, so their logger is not replaced but silent.
  current_level.store(spdlog::level::off, std::memory_order_relaxed);
  spdlog::set_level(spdlog::level::off);
  has_access_file.store(false, std::memory_order_relaxed);
  const bool access_written = close_access_writer(access_writer.exchange(nullptr));
  const auto writer = stderr_writer.exchange(nullptr);
  return (writer == nullptr || writer->stop(flush_timeout)) && access_written;
}

// A file gets them regardless of the log level.
bool access_lines_wanted() {
  return has_access_file.load(std::memory_order_relaxed) ||
         current_level.load(std::memory_order_relaxed) <= spdlog::level::info;
}

bool access_line_sampled(std::uint64_t number) {
  return number % access_sample.load(std::memory_order_relaxed) == 0;
}

bool debug_lines_wanted() {
  return current_level.load(std::memory_order_relaxed) <= spdlog::level::debug;
}

void AccessLines::add(std::string_view line) {
  if (!access_lines_wanted()) return;
  // It caches the text of the current second, and is for one thread.
  static thread_local LineFormatter formatter;
  spdlog::memory_buf_t formatted;
  formatter.format(
      {spdlog::string_view_t(access_logger), spdlog::level::info, spdlog::string_view_t(line)},
      formatted);
  text_.append(formatted.data(), formatted.size());
  ++lines_;
  if (text_.size() >= bytes_max) hand_over();
}

void AccessLines::hand_over_text() {
  // A file closed meanwhile has a successor.
  for (;;) {
    auto writer = has_access_file.load(std::memory_order_relaxed) ? access_writer.now() : nullptr;
    if (writer == nullptr) writer = stderr_writer.now();
    if (writer == nullptr || writer->put(text_, lines_)) break;
  }
  text_.clear();
  lines_ = 0;
}

LogFormat log_format() {
  return current_format.load(std::memory_order_relaxed);
}

std::uint64_t dropped_log_lines() {
  const auto writer = stderr_writer.now();
  return (writer == nullptr ? 0 : writer->lost()) + lost_access_lines();
}

void report_dropped_lines() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_drop_report) return;
  if (dropped_log_lines() > lost_before + access_lost_before) {
    next_drop_report = now + drop_report_interval;
  }
  if (const std::uint64_t lost = lost_access_lines(); lost > access_lost_before) {
    const auto writer = access_writer.now();
    const int error = writer == nullptr ? 0 : writer->error();
    spdlog::warn("{} {} dropped: {} {}", counted(lost - access_lost_before, "access line"),
                 lost - access_lost_before == 1 ? "was" : "were", access_path,
                 error == 0 ? "is too slow"
                            : "cannot be written (" + std::generic_category().message(error) + ")");
    access_lost_before = lost;
  }
  const auto writer = stderr_writer.now();
  const std::uint64_t lost = writer == nullptr ? 0 : writer->lost();
  if (lost <= lost_before) return;
  spdlog::warn("{} {} dropped: the reader of stderr is too slow",
               counted(lost - lost_before, "log line"), lost - lost_before == 1 ? "was" : "were");
  lost_before = lost;
}

}  // namespace sni
