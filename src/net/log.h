#pragma once

// The log: to stderr, as text or JSON, one line an event; access lines to a file of their own where
// the configuration names one. Lines go into a bounded queue (net/log_writer.h) and no caller
// waits: a full queue drops its oldest lines, and report_dropped_lines() reports their number. A
// worker hands over its access lines once per turn, many at a time. Text from the network must have
// passed escape_for_log() or the access line's formatter.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/config/config.h"
#include "core/config/diagnostic.h"
#include "core/error.h"

namespace sni {

bool stderr_is_journal();
// Access lines go to stderr until open_access_file(). If stderr is the journal, lines go to it as
// entries with fields (net/journal.h), or begin with their priority in the form of sd-daemon(3), which
// the journal strips.
void start_logging(const LogConfig& config);
// For a reload: level and format change from the next line on. Does not wait for the reader of
// stderr.
void configure_logging(const LogConfig& config);
// Opens log.access_file, again if it was renamed, and writes to it from the next line on; the
// previous file is closed. Empty: stderr. An error changes nothing.
Result<void> open_access_file(const std::string& path);
// Logs a mistake in a file, or a warning about it. The message begins with the place, for readers who
// see nothing else; a JSON line has `file`, `line` and `column` too. `context`, such as "reload: ",
// comes before it.
void log_diagnostic(const Diagnostic& diagnostic, std::string_view context = {});
// Until the next configure_logging().
void set_log_level(LogLevel level);
LogLevel log_level_now();
// Writes out the queue. False: nobody read stderr for flush_timeout, and a thread still hangs in
// write(2), so the process must end by std::_Exit().
[[nodiscard]] bool stop_logging();
inline constexpr std::chrono::seconds flush_timeout{1};

bool access_lines_wanted();
// Whether log.access_sample selects the connection with this number among a worker's connections
// that ended well.
bool access_line_sampled(std::uint64_t number);
bool debug_lines_wanted();
LogFormat log_format();

// The access lines of one worker's turn, only for its thread. The destructor hands over the rest.
class AccessLines {
 public:
  AccessLines() = default;
  AccessLines(AccessLines&& other) noexcept
      : text_(std::move(other.text_)), lines_(std::exchange(other.lines_, 0)) {}
  AccessLines& operator=(AccessLines&&) = delete;
  ~AccessLines() { hand_over(); }

  // `line` comes from the access record's formatter for the configured format.
  void add(std::string_view line);
  // At the end of a turn, before the wait.
  void hand_over() {
    if (lines_ != 0) hand_over_text();
  }

 private:
  static constexpr std::size_t bytes_max = 32 << 10;  // More is handed over at once.

  void hand_over_text();

  std::string text_;
  std::uint64_t lines_ = 0;
};

// Since the start.
std::uint64_t dropped_log_lines();
// Logs how many lines were dropped since the last call, if any. To be called regularly.
void report_dropped_lines();

}  // namespace sni
