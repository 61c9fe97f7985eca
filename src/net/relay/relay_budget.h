#pragma once

// limits.relay_memory, which all workers share: the budget for bytes that wait for stalled readers.
// A fixed share of it is for kernel pipes (net/relay/splice.h), the rest for parked bytes
// (net/relay/parking.h). Neither share can use the other: readers that never read can fill the
// parked share, but active transfers still find pipes.

#include <atomic>
#include <cstdint>

namespace sni {

struct RelayBudget {
  std::atomic<std::uint64_t> parked{0};    // Bytes.
  std::atomic<std::uint64_t> in_pipes{0};  // Bytes that the borrowed pipes can hold.

  std::uint64_t used() const {
    return parked.load(std::memory_order_relaxed) + in_pipes.load(std::memory_order_relaxed);
  }
};

// Bytes of limits.relay_memory that pipes may hold: 64 MiB by default.
constexpr std::uint64_t pipes_share(std::uint64_t relay_memory) {
  return relay_memory / 4;
}
constexpr std::uint64_t parked_share(std::uint64_t relay_memory) {
  return relay_memory - pipes_share(relay_memory);
}

}  // namespace sni
