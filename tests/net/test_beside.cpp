#include "net/beside.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

using namespace sni;

namespace {

constexpr uid_t nobody = 65534;

// The exit status of a process that may start no thread. The limit does not hold for root.
template <typename Body>
int without_threads(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    const bool limited = (geteuid() != 0 || setresuid(nobody, nobody, nobody) == 0) &&
                         setrlimit(RLIMIT_NPROC, &none) == 0;
    _exit(limited ? body() : 99);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("work is done in a thread, which can be asked to stop") {
  std::atomic<bool> stopped{false};
  const auto caller = std::this_thread::get_id();
  std::thread::id worker;
  auto thread = run_beside("a test", [&](const std::stop_token& stop) {
    worker = std::this_thread::get_id();
    while (!stop.stop_requested()) std::this_thread::yield();
    stopped = true;
  });
  REQUIRE(thread.joinable());
  thread.request_stop();
  join(thread);
  CHECK(stopped);
  CHECK(worker != caller);
}

TEST_CASE("where no thread can be started the work is done at once, as if asked to stop") {
  const int status = without_threads([] {
    int done = 0;
    auto held = std::make_unique<int>(1);  // Work may own what cannot be copied.
    auto thread =
        run_beside("a test", [&done, held = std::move(held)](const std::stop_token& stop) {
          done = stop.stop_requested() ? 2 + *held : 1;
        });
    if (thread.joinable()) return 1;
    join(thread);
    return done == 3 ? 0 : 2;
  });
  CHECK(status == 0);
}
