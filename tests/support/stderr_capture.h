#pragma once

// Captures stderr, where the log goes, through a pipe that a thread reads. A test may pause the
// reader until read_on(), like a log with a stuck reader.

#include <sys/types.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/unique_fd.h"
#include "support/tcp_peer.h"

namespace sni::test {

class StderrCapture {
 public:
  enum class Reader : std::uint8_t { at_once, stuck };

  explicit StderrCapture(Reader reader = Reader::at_once)
      : saved_(UniqueFd::adopt(dup(STDERR_FILENO))) {
    int ends[2];
    check_call(static_cast<bool>(saved_) && pipe(ends) == 0, "pipe");
    read_end_ = UniqueFd::adopt(ends[0]);
    check_call(dup2(ends[1], STDERR_FILENO) >= 0 && ::close(ends[1]) == 0, "dup2");
    if (reader == Reader::at_once) read_on();
  }
  ~StderrCapture() { finish(); }
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  void read_on() {
    reader_ = std::thread([this] {
      char part[4096];
      for (ssize_t got = 0; (got = read(read_end_.get(), part, sizeof part)) > 0;) {
        const std::lock_guard lock(mutex_);
        text_.append(part, static_cast<std::size_t>(got));
      }
    });
  }

  // So far.
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

  // Returns all lines and restores stderr.
  std::vector<std::string> finish() {
    if (saved_) dup2(saved_.get(), STDERR_FILENO);
    saved_.reset();
    if (reader_.joinable()) reader_.join();
    std::istringstream text(text_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

 private:
  UniqueFd saved_;
  UniqueFd read_end_;
  std::mutex mutex_;
  std::string text_;
  std::thread reader_;
};

}  // namespace sni::test
