// The blocking backend: a thread per connection (two for a stream both ways), every call blocks.

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <thread>
#include <vector>

#include "bench/backend.h"
#include "bench/clock.h"
#include "bench/pattern.h"
#include "bench/poller.h"

namespace sni::bench {
namespace {

bool send_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool receive_all(int fd, std::span<std::byte> bytes) {
  return ::recv(fd, bytes.data(), bytes.size(), MSG_WAITALL) == static_cast<ssize_t>(bytes.size());
}

void sleep_until(std::uint64_t deadline) {
  const timespec until{.tv_sec = static_cast<time_t>(deadline / second_ns),
                       .tv_nsec = static_cast<long>(deadline % second_ns)};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

void run_echo(int fd, const Command& command) {
  std::vector<std::byte> message(std::max<std::size_t>(command.message_bytes, 1));
  while (receive_all(fd, message) && send_all(fd, message)) {
  }
}

void run_source(int fd, const Command& command, LedgerSlot& slot) {
  PatternCursor out(command.slot);
  const Pace pace{.bytes_per_second = command.bytes_per_second, .start_ns = now_ns()};
  const std::size_t step = command.bytes_per_second != 0 ? pace_bytes : chunk_max;
  std::uint64_t sent = 0;
  while (slot.stop == 0 && (command.bytes_max == 0 || sent < command.bytes_max)) {
    if (command.bytes_per_second != 0) sleep_until(pace.when(sent + step));
    const ssize_t n = ::send(fd, out.peek(step).data(), step, MSG_NOSIGNAL);
    if (n <= 0) break;
    out.advance(static_cast<std::size_t>(n));
    sent += static_cast<std::uint64_t>(n);
    slot.sent = sent;
  }
  slot.done = 1;
}

void run_sink(int fd, const Command& command, LedgerSlot& slot) {
  PatternReader in(command.slot);
  std::vector<std::byte> chunk(chunk_max);
  for (;;) {
    const ssize_t n = in.receive(fd, chunk, look_at(slot));
    if (n <= 0) return;
    if (!in.intact()) slot.corrupt = 1;
    slot.received += static_cast<std::uint64_t>(n);
  }
}

void serve_one(UniqueFd fd, Ledger& ledger) {
  Opening opening;
  std::vector<std::byte> bytes;
  Opening::State state = Opening::State::incomplete;
  while (state == Opening::State::incomplete) {
    bytes.resize(opening.wanted());
    if (!receive_all(fd.get(), bytes)) return;
    state = opening.append(bytes);
  }
  if (state == Opening::State::broken) return;
  const Command& command = opening.command();
  LedgerSlot& slot = ledger[command.slot];
  switch (command.op) {
    case Op::echo:
      return run_echo(fd.get(), command);
    case Op::answer:
      send_all(fd.get(), PatternCursor(command.slot).peek(command.message_bytes));
      return;
    case Op::hold:
      send_all(fd.get(), std::as_bytes(std::span("+", 1)));
      run_sink(fd.get(), command, slot);
      return;
    case Op::stream:
      if (command.source != 0) {
        const std::jthread source([&] { run_source(fd.get(), command, slot); });
        run_sink(fd.get(), command, slot);
        slot.stop = 1;
      } else {
        run_sink(fd.get(), command, slot);
      }
      return;
  }
}

}  // namespace

void serve_blocking(std::span<const UniqueFd> listeners, Ledger& ledger) {
  std::vector<pollfd> waiting;
  for (const UniqueFd& listener : listeners) {
    waiting.push_back({.fd = listener.get(), .events = POLLIN, .revents = 0});
  }
  for (;;) {
    ::poll(waiting.data(), waiting.size(), -1);
    for (const pollfd& ready : waiting) {
      if (ready.revents == 0) continue;
      UniqueFd fd = UniqueFd::adopt(::accept4(ready.fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) continue;
      no_delay(fd.get());
      std::thread([accepted = std::move(fd), &ledger]() mutable {
        serve_one(std::move(accepted), ledger);
      }).detach();
    }
  }
}

}  // namespace sni::bench
