// Bulk: streams of pattern bytes, one way or both at once, at full speed or paced by the backend.
// Throughput counts at the receiver. At the end the sources stop, bytes in flight are read, and the
// ledger shows whether all of them arrived.

#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "bench/clock.h"
#include "bench/interrupt.h"
#include "bench/load.h"
#include "bench/pattern.h"
#include "bench/poller.h"

namespace sni::bench {
namespace {

constexpr std::uint64_t bulk_drain_ns = 5 * second_ns;
constexpr int chunks_per_wakeup = 4;  // Chunks per wake-up, so that every stream has its turn.

struct Stream {
  UniqueFd fd;
  std::uint32_t slot = 0;
  PatternReader in;
  PatternCursor out;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
};

class Bulk {
 public:
  Bulk(const Target& target, const BulkLoad& load)
      : target_(target), load_(load), scratch_(chunk_max) {}

  Outcome run(const Timing& timing) {
    if (!open()) return std::move(outcome_);
    const std::uint64_t window_start = now_ns() + seconds_to_ns(timing.warmup_s);
    const std::uint64_t window_end = window_start + seconds_to_ns(timing.window_s);
    pump(window_start);
    Meter meter(target_.proxy, target_.backend);
    meter.start();
    const std::uint64_t down = received_down();
    const std::uint64_t up = received_up();
    pump(window_end);
    const Usage usage = meter.stop();
    const double down_rate = static_cast<double>(received_down() - down) / usage.elapsed_s;
    const double up_rate = static_cast<double>(received_up() - up) / usage.elapsed_s;
    drain();
    outcome_.values["down_gbit_s"] = down_rate * 8 / 1e9;
    outcome_.values["up_gbit_s"] = up_rate * 8 / 1e9;
    outcome_.values["gbit_s"] = (down_rate + up_rate) * 8 / 1e9;
    outcome_.values["gigabytes"] = (down_rate + up_rate) * usage.elapsed_s / 1e9;
    add_usage(outcome_, usage);
    return std::move(outcome_);
  }

 private:
  bool running() const { return outcome_.faults.empty() && !interrupted(); }

  bool open() {
    for (std::uint32_t i = 0; i < load_.connections; ++i) {
      Stream stream;
      stream.slot = target_.ledger->take();
      stream.in = PatternReader(stream.slot);
      stream.out = PatternCursor(stream.slot);
      const Command command{.op = Op::stream,
                            .slot = stream.slot,
                            .source = load_.down ? 1u : 0u,
                            .bytes_per_second = load_.bytes_per_second / load_.connections};
      auto fd = open_session(target_, i, command);
      if (!fd) {
        outcome_.faults.emplace_back(fd.error().what);
        return false;
      }
      stream.fd = std::move(*fd);
      by_fd_.resize(
          std::max<std::size_t>(by_fd_.size(), static_cast<std::size_t>(stream.fd.get()) + 1));
      by_fd_[static_cast<std::size_t>(stream.fd.get())] = i;
      if (load_.bytes_per_second == 0) wake_at(stream.fd.get(), bulk_wake_bytes);
      poller_.add(stream.fd.get(), load_.up ? EPOLLIN | EPOLLOUT : EPOLLIN);
      streams_.push_back(std::move(stream));
    }
    return true;
  }

  void pump(std::uint64_t until) {
    while (now_ns() < until && running()) {
      for (const epoll_event& event : poller_.wait(until)) {
        Stream& stream = streams_[by_fd_[static_cast<std::size_t>(event.data.fd)]];
        if (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(stream);
        if (event.events & EPOLLOUT && !draining_) send(stream);
      }
    }
  }

  // A paced stream costs as much as a reader that uses its bytes.
  PatternReader::Look look() const {
    const bool all = draining_ || load_.bytes_per_second != 0;
    return all ? PatternReader::Look::all : PatternReader::Look::samples;
  }

  void receive(Stream& stream) {
    for (int turn = 0; turn < chunks_per_wakeup; ++turn) {
      const ssize_t n = stream.in.receive(stream.fd.get(), scratch_, look());
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) {
        outcome_.faults.emplace_back("a stream was closed before its end");
        return;
      }
      const auto length = static_cast<std::size_t>(n);
      if (!stream.in.intact()) {
        outcome_.faults.emplace_back("bytes to the client differ from what was sent");
        return;
      }
      stream.received += length;
      if (length < scratch_.size()) return;
    }
  }

  void send(Stream& stream) {
    for (int turn = 0; turn < chunks_per_wakeup; ++turn) {
      const auto bytes = stream.out.peek(chunk_max);
      const ssize_t n = ::send(stream.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) {
        outcome_.faults.emplace_back("a stream broke while sending");
        return;
      }
      stream.out.advance(static_cast<std::size_t>(n));
      stream.sent += static_cast<std::uint64_t>(n);
      if (n < static_cast<ssize_t>(bytes.size())) return;
    }
  }

  std::uint64_t received_down() const {
    std::uint64_t total = 0;
    for (const Stream& stream : streams_) total += stream.received;
    return total;
  }

  std::uint64_t received_up() const {
    std::uint64_t total = 0;
    for (const Stream& stream : streams_) total += (*target_.ledger)[stream.slot].received;
    return total;
  }

  bool arrived(const Stream& stream) const {
    const LedgerSlot& slot = (*target_.ledger)[stream.slot];
    const bool down = !load_.down || (slot.done != 0 && slot.sent == stream.received);
    return down && slot.received == stream.sent;
  }

  void drain() {
    draining_ = true;
    for (const Stream& stream : streams_) {
      (*target_.ledger)[stream.slot].stop = 1;
      wake_at(stream.fd.get(), 1);
      if (load_.up) poller_.modify(stream.fd.get(), EPOLLIN);
    }
    const std::uint64_t deadline = now_ns() + bulk_drain_ns;
    for (const Stream& stream : streams_) {
      // Short turns, because only the ledger shows the end of an upload.
      while (!arrived(stream) && now_ns() < deadline && running()) {
        pump(now_ns() + millisecond_ns);
      }
      if (!running()) return;
      const LedgerSlot& slot = (*target_.ledger)[stream.slot];
      if (slot.corrupt != 0) {
        outcome_.faults.emplace_back("bytes to the backend differ from what was sent");
      }
      if (!arrived(stream)) {
        outcome_.faults.emplace_back("bytes were lost: " + std::to_string(stream.received) +
                                     " of " + std::to_string(slot.sent) + " down, " +
                                     std::to_string(slot.received) + " of " +
                                     std::to_string(stream.sent) + " up");
      }
    }
  }

  const Target& target_;
  const BulkLoad& load_;
  std::vector<std::byte> scratch_;
  Poller poller_;
  std::vector<Stream> streams_;
  std::vector<std::uint32_t> by_fd_;
  bool draining_ = false;
  Outcome outcome_;
};

}  // namespace

Outcome load_bulk(const Target& target, const Timing& timing, const BulkLoad& load) {
  return Bulk(target, load).run(timing);
}

}  // namespace sni::bench
