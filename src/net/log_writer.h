#pragma once

// Theory of operation: whoever logs puts whole lines into a bounded queue and never waits for whoever
// reads them; one thread writes the queue to a descriptor. A line that comes while the thread rests
// wakes it, and then it collects for collect_time before it writes, so that many lines cost one wake
// and one write. Where the queue is full the oldest lines go, and are counted. Lines of one caller
// keep their order.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/unique_fd.h"

namespace sni {

class LogWriter {
 public:
  // Bytes that may wait, and how many are written at a time: some 9,000 access lines, and 300.
  static constexpr std::size_t queue_bytes_max = 2 << 20;
  static constexpr std::size_t chunk_bytes = 64 << 10;
  static constexpr std::chrono::milliseconds collect_time{5};

  // Writes to `fd`, which the caller keeps open.
  explicit LogWriter(int fd);
  // Writes to a file, and closes it.
  explicit LogWriter(UniqueFd file);
  // Ends by stop() only.
  ~LogWriter() = default;
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // `text`: `lines` whole lines, each with its end. From any thread. False: stop() was called.
  bool put(std::string_view text, std::uint64_t lines);
  // Lines that were dropped, or could not be written, so far.
  std::uint64_t lost() const;
  // Of the latest write that failed, as ENOSPC; 0: none did.
  int error() const;
  // Writes all that waits, and ends the thread. False: nobody read for `patience`, and the thread is
  // left, with what it needs. Lines that come later are dropped.
  [[nodiscard]] bool stop(std::chrono::milliseconds patience);

 private:
  struct Chunk {
    std::string text;
    std::uint64_t lines = 0;
  };
  // What the thread needs, also when it is left behind.
  struct Queue {
    std::mutex mutex;
    std::condition_variable filled;
    std::condition_variable ended;
    std::deque<Chunk> chunks;
    std::size_t bytes = 0;
    std::uint64_t lost = 0;
    int error = 0;
    UniqueFd file;
    bool resting = false;  // The thread waits for the first line.
    bool stopping = false;
    bool done = false;
  };
  static void run(int fd, Queue& queue);

  std::shared_ptr<Queue> queue_;
  std::thread thread_;
};

}  // namespace sni
