// Messages that are answered: ping-pong (closed loop) and by schedule (open loop). The backend
// echoes, so each connection must receive the same pattern that it sent.

#include <sys/socket.h>

#include <cerrno>
#include <deque>

#include "bench/clock.h"
#include "bench/interrupt.h"
#include "bench/load.h"
#include "bench/pattern.h"
#include "bench/poller.h"

namespace sni::bench {
namespace {

// How long answers may take after the last message.
constexpr std::uint64_t messages_drain_ns = 3 * second_ns;

struct Client {
  UniqueFd fd;
  PatternCursor out;
  PatternCursor in;
  std::size_t filled = 0;  // Bytes of the next answer that have arrived.
  std::deque<std::uint64_t>
      started;  // When each message that is unanswered was, or should be, sent.
};

class Messages {
 public:
  Messages(const Target& target, std::uint32_t message_bytes)
      : target_(target), message_bytes_(message_bytes), scratch_(chunk_max) {}

  // False: a connection failed; the outcome says so.
  bool open(std::uint32_t connections) {
    for (std::uint32_t i = 0; i < connections; ++i) {
      const std::uint32_t slot = target_.ledger->take();
      const Command command{.op = Op::echo, .message_bytes = message_bytes_, .slot = slot};
      auto fd = open_session(target_, i, command);
      if (!fd) {
        outcome_.faults.emplace_back(fd.error().what);
        return false;
      }
      Client client;
      client.fd = std::move(*fd);
      client.out = client.in = PatternCursor(slot);
      by_fd_.resize(
          std::max<std::size_t>(by_fd_.size(), static_cast<std::size_t>(client.fd.get()) + 1));
      by_fd_[static_cast<std::size_t>(client.fd.get())] = i;
      poller_.add(client.fd.get(), EPOLLIN);
      clients_.push_back(std::move(client));
    }
    return true;
  }

  // Each client sends again when its answer is there, until `window_end`.
  Outcome ping_pong(const Timing& timing) {
    window_start_ = now_ns() + seconds_to_ns(timing.warmup_s);
    const std::uint64_t window_end = window_start_ + seconds_to_ns(timing.window_s);
    for (Client& client : clients_) send_message(client, now_ns());
    Meter meter(target_.proxy, target_.backend);
    bool metering = false;
    std::uint64_t now = now_ns();
    while (now < window_end && running()) {
      for (const epoll_event& event : poller_.wait(window_end)) {
        Client& client = client_of(event);
        if (receive(client) > 0) send_message(client, now_ns());
      }
      now = now_ns();
      if (!metering && now >= window_start_) {
        meter.start();
        metering = true;
      }
    }
    return finish(meter.stop());
  }

  Outcome schedule(const Timing& timing, std::uint32_t messages_per_second) {
    const std::uint64_t begin = now_ns();
    const std::uint64_t interval = second_ns / messages_per_second;
    window_start_ = begin + seconds_to_ns(timing.warmup_s);
    const std::uint64_t window_end = window_start_ + seconds_to_ns(timing.window_s);
    Meter meter(target_.proxy, target_.backend);
    bool metering = false;
    std::uint64_t next = begin;
    std::size_t turn = 0;
    std::uint64_t now = now_ns();
    while (now < window_end && running()) {
      for (; next <= now; next += interval) send_message(clients_[turn++ % clients_.size()], next);
      for (const epoll_event& event : poller_.wait(next)) receive(client_of(event));
      now = now_ns();
      if (!metering && now >= window_start_) {
        meter.start();
        metering = true;
      }
    }
    return finish(meter.stop());
  }

  Outcome take_outcome() { return std::move(outcome_); }

 private:
  bool running() const { return outcome_.faults.empty() && !interrupted(); }

  Client& client_of(const epoll_event& event) {
    return clients_[by_fd_[static_cast<std::size_t>(event.data.fd)]];
  }

  void send_message(Client& client, std::uint64_t started) {
    const auto message = client.out.peek(message_bytes_);
    const ssize_t n = ::send(client.fd.get(), message.data(), message.size(), MSG_NOSIGNAL);
    if (n != static_cast<ssize_t>(message.size())) {
      // A client's buffer holds thousands of messages: if it is full, the proxy is too slow.
      outcome_.faults.emplace_back(n < 0 && errno != EAGAIN ? "a connection broke while sending"
                                                            : "messages pile up at a client");
      return;
    }
    client.out.advance(message.size());
    client.started.push_back(started);
    ++unanswered_;
  }

  // How many answers were completed.
  int receive(Client& client) {
    const ssize_t n = ::recv(client.fd.get(), scratch_.data(), scratch_.size(), 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) {
      outcome_.faults.emplace_back("a connection was closed before its answers came");
      return 0;
    }
    const auto length = static_cast<std::size_t>(n);
    if (!client.in.check(std::span(scratch_).first(length))) {
      outcome_.faults.emplace_back("an answer is not what was sent");
      return 0;
    }
    const std::uint64_t now = now_ns();
    client.filled += length;
    int answers = 0;
    for (; client.filled >= message_bytes_; client.filled -= message_bytes_) {
      if (client.started.empty()) {
        outcome_.faults.emplace_back("more bytes came back than were sent");
        return answers;
      }
      // The window counts exchanges by their end in ping-pong and by the schedule in open loop; the
      // difference is at most one exchange.
      if (client.started.front() >= window_start_ && !draining_) ++answered_;
      if (client.started.front() >= window_start_) latency_.add(now - client.started.front());
      client.started.pop_front();
      --unanswered_;
      ++answers;
    }
    return answers;
  }

  Outcome finish(const Usage& usage) {
    draining_ = true;
    const std::uint64_t deadline = now_ns() + messages_drain_ns;
    while (unanswered_ > 0 && now_ns() < deadline && running()) {
      for (const epoll_event& event : poller_.wait(deadline)) receive(client_of(event));
    }
    if (unanswered_ > 0 && running()) {
      outcome_.faults.emplace_back(std::to_string(unanswered_) + " answers never came");
    }
    outcome_.values["messages"] = static_cast<double>(answered_);
    outcome_.values["rate"] = static_cast<double>(answered_) / usage.elapsed_s;
    add_latency(outcome_, latency_);
    add_usage(outcome_, usage);
    return std::move(outcome_);
  }

  const Target& target_;
  std::uint32_t message_bytes_;
  std::vector<std::byte> scratch_;
  Poller poller_;
  std::vector<Client> clients_;
  std::vector<std::uint32_t> by_fd_;
  std::uint64_t window_start_ = 0;
  std::uint64_t unanswered_ = 0;
  std::uint64_t answered_ = 0;  // Within the window.
  bool draining_ = false;
  Histogram latency_;
  Outcome outcome_;
};

}  // namespace

Outcome load_ping_pong(const Target& target, const Timing& timing, std::uint32_t connections,
                       std::uint32_t message_bytes) {
  Messages messages(target, message_bytes);
  return messages.open(connections) ? messages.ping_pong(timing) : messages.take_outcome();
}

Outcome load_schedule(const Target& target, const Timing& timing, std::uint32_t connections,
                      std::uint32_t message_bytes, std::uint32_t messages_per_second) {
  Messages messages(target, message_bytes);
  return messages.open(connections) ? messages.schedule(timing, messages_per_second)
                                    : messages.take_outcome();
}

}  // namespace sni::bench
