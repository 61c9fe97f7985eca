#pragma once

// Theory of operation: callers put whole lines into a bounded queue and never wait for the reader
// of the log; one thread writes the queue out. A line wakes the thread if it is idle.
// It then collects lines for collect_time before it writes, so that many lines cost one wake-up and
// one write. A full queue drops and counts its oldest lines. Lines of one caller keep their order.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
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

  // Takes whole lines, on the thread; may block. False: they cannot be written (errno).
  using Write = std::function<bool(std::string_view)>;

  explicit LogWriter(Write write);
  // Writes to `fd`, which the caller keeps open.
  static Write to(int fd);
  // Writes to a file and closes it at the end.
  explicit LogWriter(UniqueFd file);
  // Ends by stop() only.
  ~LogWriter() = default;
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // `text`: `lines` whole lines, each with its newline. Thread-safe. False: stop() was called.
  bool put(std::string_view text, std::uint64_t lines);
  // Lines that were dropped, or could not be written, so far.
  std::uint64_t lost() const;
  // The errno of the latest failed write, such as ENOSPC; 0: none failed.
  int error() const;
  // Writes all queued lines and ends the thread. False: nobody read for `timeout`, and the thread
  // is left running with its data. Later lines are dropped.
  [[nodiscard]] bool stop(std::chrono::milliseconds timeout);

 private:
  struct Chunk {
    std::string text;
    std::uint64_t lines = 0;
  };
  // The data of the thread, which outlives the writer if the thread does.
  struct Queue {
    std::mutex mutex;
    std::condition_variable filled;
    std::condition_variable ended;
    std::deque<Chunk> chunks;
    std::size_t bytes = 0;
    std::uint64_t lost = 0;
    int error = 0;
    bool resting = false;  // The thread waits for the first line.
    bool stopping = false;
    bool done = false;
  };
  static void run(const Write& write, Queue& queue);

  std::shared_ptr<Queue> queue_;
  std::thread thread_;
};

}  // namespace sni
