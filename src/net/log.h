#pragma once

// The log: to stderr, as text or JSON, one line an event; access lines to a file of their own where
// the configuration names one. Lines go into a bounded queue (net/log_writer.h) and nobody waits: when
// it is full the oldest go, and how many went is said (report_dropped_lines). Access lines go there by
// the turn of a worker, many at a time. Text that came from the network must have passed
// escape_for_log() or the access line's formatter.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

// Access lines go to stderr until open_access_file(). Where stderr is the journal, lines that go there
// begin with their priority as sd-daemon(3) has it, which the journal takes off again.
void start_logging(const LogConfig& config);
// A reload: level and format change from the next line on. Does not wait for who reads stderr.
void configure_logging(const LogConfig& config);
// Opens log.access_file, or the one that has that name by now, and writes to it from the next line on;
// what was there before is closed. Empty: to stderr. An error changes nothing.
Result<void> open_access_file(const std::string& path);
// Until the next configure_logging().
void set_log_level(LogLevel level);
LogLevel log_level_now();
// Writes out what is queued. False: nobody read stderr for flush_patience, and a thread is left
// that hangs in write(2), so that the process must end by std::_Exit().
[[nodiscard]] bool stop_logging();
inline constexpr std::chrono::seconds flush_patience{1};

bool access_lines_wanted();
// Of a worker's connections that ended well, the one with this number, by log.access_sample.
bool access_line_sampled(std::uint64_t number);
bool debug_lines_wanted();
LogFormat log_format();

// The access lines of one worker's turn, for its thread alone. The end hands over what is left.
class AccessLines {
 public:
  AccessLines() = default;
  AccessLines(AccessLines&& other) noexcept
      : text_(std::move(other.text_)), lines_(std::exchange(other.lines_, 0)) {}
  AccessLines& operator=(AccessLines&&) = delete;
  ~AccessLines() { hand_over(); }

  // `line` as the access record's formatter for the configured format made it.
  void add(std::string_view line);
  // At the end of a turn, before the wait.
  void hand_over() {
    if (lines_ != 0) hand_over_text();
  }

 private:
  static constexpr std::size_t bytes_max = 32 << 10;  // More than that is handed over at once.

  void hand_over_text();

  std::string text_;
  std::uint64_t lines_ = 0;
};

// Since the start.
std::uint64_t dropped_log_lines();
// Says how many lines were dropped since the last call, if any. To be called now and then.
void report_dropped_lines();

}  // namespace sni
