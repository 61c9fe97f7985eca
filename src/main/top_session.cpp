#include "main/top_session.h"

#include "main/control_command.h"

#ifndef SNI_WITH_CURSES

namespace sni {

int run_top(const std::string& /*socket*/, std::chrono::milliseconds /*interval*/) {
  return complain("this sni-proxy was built without ncurses, and has no top");
}

}  // namespace sni

#else

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/unique_fd.h"
#include "main/top_fetch.h"
#include "main/top_screen.h"

namespace sni {
namespace {

using Clock = std::chrono::steady_clock;

// A pause is at least so many times as long as the request took: the proxy's main thread has other
// clients too.
constexpr int asking_share = 4;

// Sends requests in a thread of its own, so that the user can quit even if the proxy hangs.
class Fetcher {
 public:
  Fetcher(std::string socket, std::chrono::milliseconds interval)
      : socket_(std::move(socket)),
        interval_(interval),
        wake_(UniqueFd::adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

  void start() {
    std::thread([this] { ask_forever(); }).detach();
  }
  int fd() const { return wake_.get(); }

  void want(TopView view) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(view_, view) == view) return;
    hurry_ = true;
    wanted_.notify_one();
  }
  void want(TopKill kill) {
    const std::lock_guard lock(mutex_);
    kill_ = std::move(kill);
    hurry_ = true;
    wanted_.notify_one();
  }
  struct News {
    std::optional<Result<TopSample> > sample;
    std::string message;
  };
  News take() {
    std::uint64_t count = 0;
    (void)!read(wake_.get(), &count, sizeof count);
    const std::lock_guard lock(mutex_);
    return std::exchange(news_, {});
  }

 private:
  [[noreturn]] void ask_forever() {
    for (;;) {
      const auto begun = Clock::now();
      std::unique_lock lock(mutex_);
      const TopView view = view_;
      const auto kill = std::exchange(kill_, std::nullopt);
      hurry_ = false;
      lock.unlock();
      std::string message = kill ? top_kill(socket_, *kill) : std::string();
      auto sample = top_fetch(socket_, view);
      const auto took = Clock::now() - begun;
      lock.lock();
      news_.sample = std::move(sample);
      if (kill) news_.message = std::move(message);
      const std::uint64_t one = 1;
      (void)!write(wake_.get(), &one, sizeof one);
      const auto pause = std::max<Clock::duration>(interval_ - took, took * asking_share);
      wanted_.wait_for(lock, pause, [this] { return hurry_; });
    }
  }

  const std::string socket_;
  const std::chrono::milliseconds interval_;
  UniqueFd wake_;
  std::mutex mutex_;  // Protects what follows.
  std::condition_variable wanted_;
  TopView view_ = TopView::connections;
  std::optional<TopKill> kill_;
  bool hurry_ = false;
  News news_;
};

// The signals that end the program, as a descriptor; the fetcher's thread inherits the blocked
// mask.
UniqueFd ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int each : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, each);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return UniqueFd::adopt(signalfd(-1, &set, SFD_CLOEXEC));
}

// Runs until the user quits, or the proxy or the terminal is gone. Returns the error, or nothing.
std::string watch(Top& top, const TopScreen& screen, Fetcher& fetcher, const UniqueFd& signals) {
  std::array<pollfd, 3> waits{{{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                               {.fd = fetcher.fd(), .events = POLLIN, .revents = 0},
                               {.fd = signals.get(), .events = POLLIN, .revents = 0}}};
  for (;;) {
    screen.draw(top);
    // A change of the terminal's size interrupts it.
    const int ready = poll(waits.data(), waits.size(), -1);
    if (!screen.take_keys(top)) return {};
    if (ready > 0 && waits[2].revents != 0) return {};
    if (ready > 0 && waits[1].revents != 0) {
      Fetcher::News news = fetcher.take();
      if (news.sample && !*news.sample) return news.sample->error().what;
      if (news.sample) top.take(std::move(**news.sample));
      if (!news.message.empty()) top.tell(std::move(news.message));
    }
    if (auto kill = top.take_kill()) fetcher.want(std::move(*kill));
    fetcher.want(top.view());
    if (top.wants_end()) return {};
  }
}

}  // namespace

int run_top(const std::string& socket, std::chrono::milliseconds interval) {
  // An unreachable proxy is reported before the screen is taken over.
  if (const auto first = top_fetch(socket, TopView::connections); !first) {
    return complain(first.error().what);
  }
  const UniqueFd signals = ending_signals();
  auto screen = TopScreen::open();
  if (!screen) return complain(screen.error().what);
  Fetcher fetcher(socket, interval);
  fetcher.start();
  Top top;
  const std::string failure = watch(top, *screen, fetcher, signals);
  screen->close();
  const int status = failure.empty() ? 0 : complain(failure);
  std::fflush(nullptr);
  // The fetcher may still wait for an answer, so destructors are skipped.
  _exit(status);
}

}  // namespace sni

#endif
