// Memory: the proxy's cost of idle connections, and the bytes that the host holds for a stalled
// reader.

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "bench/clock.h"
#include "bench/interrupt.h"
#include "bench/load.h"
#include "bench/pattern.h"

namespace sni::bench {
namespace {

bool wait_readable(int fd, int timeout_ms) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, timeout_ms) == 1;
}

// Concurrent connections in set-up.
constexpr std::uint32_t opening_max = 64;

// Adds connections that were relayed (a hello to the backend and a byte back) and are then silent.
Result<void> hold(const Target& target, std::uint32_t count, std::vector<UniqueFd>& held) {
  const std::size_t first = held.size();
  for (std::uint32_t i = 0; i < count; ++i) {
    auto fd = open_session(target, static_cast<std::uint32_t>(held.size()), {.op = Op::hold});
    if (!fd) return std::unexpected(fd.error());
    held.push_back(std::move(*fd));
  }
  for (std::size_t i = first; i < held.size(); ++i) {
    char byte = 0;
    if (!wait_readable(held[i].get(), 5'000) || ::recv(held[i].get(), &byte, 1, 0) != 1) {
      return fail("connection " + std::to_string(i + 1) + " was not relayed");
    }
  }
  return {};
}

}  // namespace

Outcome load_idle(const Target& target, std::uint32_t connections) {
  std::vector<UniqueFd> held;
  // The first ones make the proxy allocate its one-time memory.
  if (const auto ready = hold(target, opening_max, held); !ready) {
    return Outcome::failed(ready.error().what);
  }
  const std::uint64_t before = process_memory(target.proxy);
  for (std::uint32_t left = connections; left > 0 && !interrupted();) {
    const std::uint32_t count = std::min(left, opening_max);
    if (const auto ready = hold(target, count, held); !ready) {
      return Outcome::failed(ready.error().what);
    }
    left -= count;
  }
  const std::uint64_t after = process_memory(target.proxy);
  Outcome outcome;
  outcome.values["connections"] = connections;
  outcome.values["bytes"] =
      (static_cast<double>(after) - static_cast<double>(before)) / connections;
  return outcome;
}

Outcome load_stalled(const Target& target, double seconds_max, std::uint64_t bytes_max) {
  // The client reads nothing, so every byte that the backend could send is somewhere in this host:
  // in socket buffers, the proxy's memory, or a queue of the kernel. This count is exact, whereas
  // MemAvailable depends on everything else on the machine; its change is a cross-check.
  const std::uint32_t slot_index = target.ledger->take();
  LedgerSlot& slot = (*target.ledger)[slot_index];
  const Command command{.op = Op::stream, .slot = slot_index, .source = 1, .bytes_max = bytes_max};
  const std::uint64_t available = available_memory();
  const std::uint64_t proxy_memory = process_memory(target.proxy);
  auto fd = open_session(target, 0, command);
  if (!fd) return Outcome::failed(fd.error().what);
  const std::uint64_t end = now_ns() + seconds_to_ns(seconds_max);
  std::uint64_t grown_at = now_ns();
  std::uint64_t sent = 0;
  // Done early when the sender has made no progress for half a second.
  while (now_ns() < end && slot.sent < bytes_max && !interrupted() &&
         (sent == 0 || now_ns() < grown_at + second_ns / 2)) {
    ::poll(nullptr, 0, 10);
    if (slot.sent != sent) grown_at = now_ns();
    sent = slot.sent;
  }
  Outcome outcome;
  outcome.values["bytes"] = static_cast<double>(sent);
  outcome.values["available_drop_bytes"] =
      static_cast<double>(available) - static_cast<double>(available_memory());
  outcome.values["proxy_bytes"] =
      static_cast<double>(process_memory(target.proxy)) - static_cast<double>(proxy_memory);
  // Then the reader wakes up: all of it must arrive.
  slot.stop = 1;
  PatternCursor in(slot_index);
  std::vector<std::byte> chunk(chunk_max);
  std::uint64_t received = 0;
  const std::uint64_t deadline = now_ns() + 10 * second_ns;
  while ((slot.done == 0 || received < slot.sent) && now_ns() < deadline && !interrupted()) {
    if (!wait_readable(fd->get(), 10)) continue;
    const ssize_t n = ::recv(fd->get(), chunk.data(), chunk.size(), 0);
    if (n <= 0) return Outcome::failed("the stalled stream was closed");
    received += static_cast<std::uint64_t>(n);
    if (!in.check(std::span(chunk).first(static_cast<std::size_t>(n)))) {
      return Outcome::failed("the stalled stream's bytes differ from what was sent");
    }
  }
  if (received != slot.sent && !interrupted()) {
    outcome.faults.push_back("the stalled stream lost bytes: " + std::to_string(received) + " of " +
                             std::to_string(slot.sent));
  }
  return outcome;
}

}  // namespace sni::bench
