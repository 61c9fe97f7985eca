#pragma once

// Whether the two ends of a spliced flow are still there. The flow has no sockets that would probe
// them or time out, so the proxy decides from what the programs saw: by the rules of the kernel's
// sockets (tcp_keepalive_timer() in net/ipv4/tcp_timer.c), and for the idle timeout by those of the
// relay, where bytes count but probes and their answers do not.

#include <array>
#include <cstdint>
#include <optional>

#include "core/config/config.h"
#include "core/session/session.h"

namespace sni {

// What was seen of one end. Times are of CLOCK_MONOTONIC.
struct SeenEnd {
  std::uint64_t last_ns = 0;  // Its latest packet.
  std::uint64_t acked = 0;    // Grows with its bytes that the other end acknowledges.
  bool unacked = false;       // It has sent more than that.
  bool fin = false;           // It has sent its FIN.
};
using SeenEnds = std::array<SeenEnd, 2>;  // By side.

class FlowWatch {
 public:
  explicit FlowWatch(const IdleTimeouts& timeouts) : timeouts_(timeouts) {}

  struct Finding {
    std::optional<EndReason> end;  // nullopt: it is alive.
    std::array<bool, 2> probe{};   // Whether this end is to be sent a keepalive probe now.
  };
  // To be called every few seconds, and each second while probing().
  Finding look(const SeenEnds& ends, const TcpConfig& tcp, std::uint64_t now_ns);
  // An end has not answered its latest probe yet.
  bool probing() const { return probes_[0] + probes_[1] > 0; }
  // When bytes last moved, as far as look() and these ends tell.
  std::uint64_t active_ns(const SeenEnds& ends) const;
  const IdleTimeouts& timeouts() const { return timeouts_; }

 private:
  struct SideState {
    std::uint64_t acked = 0;     // At the last look.
    std::uint64_t last_ns = 0;   // When it was last looked at for probes.
    std::uint64_t waits_ns = 0;  // Since when its bytes are unacknowledged; 0: they are not.
    std::uint64_t probed_ns = 0;
  };

  bool is_lost(std::size_t side, const SeenEnds& ends, const TcpConfig& tcp, std::uint64_t now_ns,
               bool& probe);

  IdleTimeouts timeouts_;
  std::array<SideState, 2> sides_{};
  std::array<std::uint32_t, 2> probes_{};  // By side: without an answer.
  std::uint64_t active_ns_ = 0;
};

}  // namespace sni
