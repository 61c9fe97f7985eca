#pragma once

// When a connection is tried for the packet plane, and how long a try may wait for its ends. The relay
// reads nothing during a try. So tries that would fail are not begun: the sockets tell beforehand
// whether an end was offered too much window, and how long it takes for what is on the way to it.
// After a row of tries that failed there is only one now and then.

#include <chrono>
#include <cstdint>

#include "bpf/packet/packet_shared.h"
#include "bpf/packet/tcp_repair.h"

namespace sni {

class HandoverPace {
 public:
  bool is_due(std::uint64_t now_ms) const { return now_ms >= due_ms_; }
  // No more tries.
  void end() { due_ms_ = UINT64_MAX; }
  bool is_over() const { return due_ms_ == UINT64_MAX; }

  // Why the next try would fail: PACKET_DECLINE_PROMISE or _BUSY; else PACKET_TAKEN. What follows
  // goes by the longer round trip of these.
  packet_decline foresee(const TcpFacts& client, const TcpFacts& backend);
  // How long the next try may wait until everything is acknowledged: some round trips, 20 ms to a
  // second.
  std::chrono::milliseconds patience() const;

  // A try has failed, or was not begun. Returns the pause until the next one.
  std::chrono::milliseconds fail(std::uint64_t now_ms);
  // The last of the row has failed, and the pause is a long one.
  bool is_out() const { return tries_ == tries_max; }
  // One more try after the pause.
  void try_again(std::uint64_t now_ms);
  // A long pause that does not count as a try. It doubles, since each try holds an end up.
  std::chrono::milliseconds pause(std::uint64_t now_ms);

 private:
  static constexpr std::uint32_t tries_max = 8;

  std::chrono::milliseconds wait(std::uint64_t now_ms, std::chrono::milliseconds pause);

  std::chrono::milliseconds round_trip_{0};
  std::uint64_t due_ms_ = 0;
  std::uint32_t tries_ = 0;  // Failed ones in a row.
  std::uint32_t pauses_ = 0;
};

}  // namespace sni
