// New connections: connect, hello, an answer, close. The backend closes first, like a server with
// "Connection: close". So TIME_WAIT stays where it holds no ephemeral port (at the backend, and on
// the proxy's client side), and work decides the rate, not ports.

#include <sys/socket.h>

#include <cerrno>

#include "bench/clock.h"
#include "bench/interrupt.h"
#include "bench/load.h"
#include "bench/pattern.h"
#include "bench/poller.h"

namespace sni::bench {
namespace {

constexpr std::uint32_t answer_bytes = 256;
constexpr std::uint64_t attempts_drain_ns = 5 * second_ns;

struct Attempt {
  UniqueFd fd;
  std::uint64_t started = 0;
  std::uint32_t number = 0;
  bool connected = false;
  PatternCursor in;
  std::uint32_t received = 0;
};

class Connections {
 public:
  explicit Connections(const Target& target) : target_(target), scratch_(chunk_max) {
    // One set of first bytes per name: the commands are all alike.
    for (std::uint32_t i = 0; i < target.hellos.size(); ++i) {
      first_.push_back(first_bytes(target, i, command_));
    }
  }

  Outcome run(const Timing& timing, std::uint32_t concurrency) {
    attempts_.resize(concurrency);
    window_start_ = now_ns() + seconds_to_ns(timing.warmup_s);
    const std::uint64_t window_end = window_start_ + seconds_to_ns(timing.window_s);
    for (std::size_t i = 0; i < attempts_.size(); ++i) start(i);
    Meter meter(target_.proxy, target_.backend);
    pump(window_start_);
    meter.start();
    const std::uint64_t before = completed_;
    pump(window_end);
    const Usage usage = meter.stop();
    const std::uint64_t completed = completed_ - before;
    draining_ = true;
    const std::uint64_t deadline = now_ns() + attempts_drain_ns;
    while (open_ > 0 && now_ns() < deadline && !interrupted()) pump(now_ns() + millisecond_ns);
    failed_ += open_;
    if (failed_ > 0 && !interrupted()) {
      outcome_.faults.push_back(std::to_string(failed_) + " of " +
                                std::to_string(completed_ + failed_) +
                                " connections failed: " + why_);
    }
    outcome_.values["rate"] = static_cast<double>(completed) / usage.elapsed_s;
    outcome_.values["connections"] = static_cast<double>(completed);
    add_latency(outcome_, latency_);
    add_usage(outcome_, usage);
    return std::move(outcome_);
  }

 private:
  // Failures after which the step gives up: otherwise connects to a proxy that is down would fail
  // at full speed.
  static constexpr std::uint64_t failures_max = 100;

  void pump(std::uint64_t until) {
    while (now_ns() < until && failed_ < failures_max && !interrupted()) {
      for (const epoll_event& event : poller_.wait(until)) {
        const std::size_t i = by_fd_[static_cast<std::size_t>(event.data.fd)];
        step(i, event.events);
      }
    }
  }

  void start(std::size_t i) {
    if (draining_ || failed_ >= failures_max) return;
    Attempt& attempt = attempts_[i];
    attempt = Attempt{.started = now_ns(), .number = next_++, .in = PatternCursor(command_.slot)};
    auto fd = start_connect(target_, attempt.number);
    if (!fd) return count_failure(fd.error().what);
    attempt.fd = std::move(*fd);
    const auto key = static_cast<std::size_t>(attempt.fd.get());
    by_fd_.resize(std::max(by_fd_.size(), key + 1));
    by_fd_[key] = i;
    poller_.add(attempt.fd.get(), EPOLLOUT);
    ++open_;
  }

  void step(std::size_t i, std::uint32_t events) {
    Attempt& attempt = attempts_[i];
    if (!attempt.connected) {
      if (!(events & EPOLLOUT) || events & EPOLLERR) return fail_attempt(i, "refused or reset");
      const auto& bytes = first_[attempt.number % first_.size()];
      const ssize_t n = ::send(attempt.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n != static_cast<ssize_t>(bytes.size())) return fail_attempt(i, "cannot send");
      attempt.connected = true;
      poller_.modify(attempt.fd.get(), EPOLLIN);
      return;
    }
    const ssize_t n = ::recv(attempt.fd.get(), scratch_.data(), scratch_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return fail_attempt(i, "reset before the answer");
    const auto length = static_cast<std::size_t>(n);
    if (!attempt.in.check(std::span(scratch_).first(length))) {
      return fail_attempt(i, "a wrong answer");
    }
    attempt.received += static_cast<std::uint32_t>(length);
    if (length > 0) return;
    if (attempt.received != answer_bytes) return fail_attempt(i, "closed before the answer");
    ++completed_;
    if (attempt.started >= window_start_) latency_.add(now_ns() - attempt.started);
    finish(i);
  }

  void fail_attempt(std::size_t i, const char* why) {
    count_failure(why);
    finish(i);
  }

  void count_failure(std::string why) {
    ++failed_;
    why_ = std::move(why);
  }

  void finish(std::size_t i) {
    attempts_[i].fd.reset();
    --open_;
    start(i);
  }

  const Target& target_;
  Command command_{.op = Op::answer, .message_bytes = answer_bytes};
  std::vector<std::vector<std::byte>> first_;
  std::vector<std::byte> scratch_;
  Poller poller_;
  std::vector<Attempt> attempts_;
  std::vector<std::size_t> by_fd_;
  std::uint64_t window_start_ = 0;
  std::uint32_t next_ = 0;
  std::uint64_t open_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t failed_ = 0;
  std::string why_;
  bool draining_ = false;
  Histogram latency_;
  Outcome outcome_;
};

}  // namespace

Outcome load_connections(const Target& target, const Timing& timing, std::uint32_t concurrency) {
  return Connections(target).run(timing, concurrency);
}

}  // namespace sni::bench
