#include "net/log_writer.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace sni {

namespace {

// False: it cannot be written. Blocks as long as nobody reads.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {  // Another process has made it nonblocking.
      pollfd room{.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&room, 1, -1);
    } else if (n == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

LogWriter::LogWriter(Write write) : queue_(std::make_shared<Queue>()) {
  thread_ = std::thread([write = std::move(write), queue = queue_] { run(write, *queue); });
}

LogWriter::Write LogWriter::to(int fd) {
  return [fd](std::string_view text) { return write_all(fd, text); };
}

LogWriter::LogWriter(UniqueFd file)
    : LogWriter([file = std::make_shared<UniqueFd>(std::move(file))](std::string_view text) {
        return write_all(file->get(), text);
      }) {}

bool LogWriter::put(std::string_view text, std::uint64_t lines) {
  std::unique_lock lock(queue_->mutex);
  if (queue_->stopping) return false;
  auto& chunks = queue_->chunks;
  while (queue_->bytes + text.size() > queue_bytes_max && !chunks.empty()) {
    queue_->lost += chunks.front().lines;
    queue_->bytes -= chunks.front().text.size();
    chunks.pop_front();
  }
  if (chunks.empty() || chunks.back().text.size() + text.size() > chunk_bytes) {
    chunks.emplace_back();
  }
  chunks.back().text += text;
  chunks.back().lines += lines;
  queue_->bytes += text.size();
  const bool wake = std::exchange(queue_->resting, false);
  lock.unlock();
  if (wake) queue_->filled.notify_one();
  return true;
}

std::uint64_t LogWriter::lost() const {
  const std::lock_guard lock(queue_->mutex);
  return queue_->lost;
}

int LogWriter::error() const {
  const std::lock_guard lock(queue_->mutex);
  return queue_->error;
}

void LogWriter::run(const Write& write, Queue& queue) {
  std::unique_lock lock(queue.mutex);
  while (!queue.stopping || !queue.chunks.empty()) {
    if (queue.chunks.empty()) {
      queue.resting = true;
      queue.filled.wait(lock, [&] { return queue.stopping || !queue.chunks.empty(); });
      queue.resting = false;
      queue.filled.wait_for(lock, collect_time, [&] { return queue.stopping; });
      continue;
    }
    const Chunk chunk = std::move(queue.chunks.front());
    queue.chunks.pop_front();
    queue.bytes -= chunk.text.size();
    lock.unlock();
    const bool written = write(chunk.text);
    const int error = errno;
    lock.lock();
    if (written) continue;
    queue.lost += chunk.lines;
    queue.error = error;
  }
  queue.done = true;
  queue.ended.notify_all();
}

bool LogWriter::stop(std::chrono::milliseconds timeout) {
  bool done = false;
  {
    std::unique_lock lock(queue_->mutex);
    queue_->stopping = true;
    queue_->filled.notify_one();
    done = queue_->ended.wait_for(lock, timeout, [this] { return queue_->done; });
    queue_->done = true;
  }
  done ? thread_.join() : thread_.detach();
  return done;
}

}  // namespace sni
