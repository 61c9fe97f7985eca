#pragma once

// Work in a thread of its own, or here if there can be none.
//
// pthread_create(3) has EAGAIN as an ordinary answer: RLIMIT_NPROC, pids.max of the cgroup. The
// proxy then does without the thread: a reload or a list takes its time in the caller's, and no
// connection suffers.

#include <spdlog/spdlog.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

namespace sni {

// `work` takes a std::stop_token: that of the thread, or one that is stopped already, since the
// caller waits. The result is empty (not joinable) if the work is done.
template <typename Work>
std::jthread run_beside(const char* what, Work work) {
  // A failed constructor destroys what it was given.
  const auto shared = std::make_shared<Work>(std::move(work));
  try {
    return std::jthread([shared](const std::stop_token& stop) { std::invoke(*shared, stop); });
  } catch (const std::system_error& error) {
    spdlog::warn("no thread for {} (limit of processes?): {}; everything else waits for it", what,
                 error.code().message());
  }
  const std::stop_source stopped;
  stopped.request_stop();
  std::invoke(*shared, stopped.get_token());
  return {};
}

// Waits for its end, if there is a thread.
inline void join(std::jthread& thread) {
  if (thread.joinable()) thread.join();
}

}  // namespace sni
