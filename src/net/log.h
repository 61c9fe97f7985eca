#pragma once

// The log: to stderr, as text or JSON, one line an event. Workers put lines into a bounded queue
// and never wait: when it is full the oldest line goes, and how many went is said
// (report_dropped_lines). Text that came from the network must have passed escape_for_log() or the
// access line's formatter.

#include <chrono>
#include <string>
#include <string_view>

#include "core/config/config.h"

namespace sni {

void start_logging(const LogConfig& config);
// A reload: level and format change from the next line on. Does not wait for who reads stderr.
void configure_logging(const LogConfig& config);
// Writes out what is queued. False: nobody read stderr for flush_patience, and a thread is left
// that hangs in write(2), so that the process must end by std::_Exit().
[[nodiscard]] bool stop_logging();
inline constexpr std::chrono::seconds flush_patience{1};

bool access_lines_wanted();
bool debug_lines_wanted();
// `line` as the access record's formatter for the configured format made it.
void log_access(std::string_view line);
LogFormat log_format();

// Says how many lines were dropped since the last call, if any. To be called now and then.
void report_dropped_lines();

}  // namespace sni
