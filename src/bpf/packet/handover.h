#pragma once

// Hands an established pair of sockets over to the packet plane.
//
// Byte n of one connection is byte n + delta of the other, whether a socket or a program carries
// it, so the proxy's sockets and the programs can forward at the same time. The steps: wait until
// each end has acknowledged all that the proxy wrote and until no end was promised more window than
// the other one gives (quiesce); let the programs forward (begin); send the bytes that the sockets
// received until then to the other side by the same mapping (drain); wait until every CPU has left
// the old state and the ends have acknowledged the drained bytes; leave the sockets by TCP_REPAIR,
// without FIN or RST.
//
// Nothing here blocks: the owner calls step() until it returns a result. Until begin() the pair can
// go back to the relay unchanged; afterwards only a reset by an end can make it fail.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "bpf/packet/grace_periods.h"
#include "bpf/packet/packet_splice.h"

namespace sni {

struct HandoverLimits {
  std::chrono::milliseconds quiesce{20};  // After this the pair goes back to the relay for now.
  // The shortest transition, for packets that GracePeriods does not cover: those which a firewall
  // has queued to a program (NFQUEUE), and with a side on lo those between its egress and its ingress.
  std::chrono::milliseconds settle{2};
  std::chrono::milliseconds settle_on_lo{10};
  // An end is given up if it acknowledges none of the bytes that the proxy still owes it for this
  // long during the transition.
  std::chrono::milliseconds stall{300'000};
};

struct HandoverPair {
  int client_fd = -1;  // Both non-blocking, not closed by Handover.
  int backend_fd = -1;
  PacketPair keys;  // Both watched under `flow`.
  std::uint64_t flow = 0;
  std::uint32_t client_ifindex = 0;   // Interface of packets to the client.
  std::uint32_t backend_ifindex = 0;  // Interface of packets to the backend; lo for local ones.
};

enum class HandoverState : std::uint8_t {
  waiting,   // Call step() again after `again`.
  spliced,   // The sockets have left: close both descriptors, which sends no FIN or RST.
  declined,  // Nothing was changed: go on relaying. `decline` says why.
  broken,    // An end has reset or stalled, or the kernel refused during the transition: kill() was
             // called; close both.
};

struct HandoverStep {
  HandoverState state = HandoverState::waiting;
  std::chrono::milliseconds again{1};
  packet_decline decline = PACKET_TAKEN;
  std::string why;  // For `declined` and `broken`: a sentence fragment for the log.
};

// Checks that need no pause of the relay: options, ECN, MSS, keys seen, FIN. Reads only TCP_INFO
// and the map. PACKET_TAKEN: a Handover may succeed.
packet_decline check_handover(const PacketSplice& plane, const HandoverPair& pair);

// While it lives, nothing else may read, write or poll the two sockets. At its start no operation
// is in flight, and every byte read has been written.
class Handover {
 public:
  Handover(PacketSplice& plane, GracePeriods& grace, const HandoverPair& pair,
           const HandoverLimits& limits = {});
  ~Handover();
  Handover(Handover&&) noexcept;
  Handover& operator=(Handover&&) noexcept;

  HandoverStep step(std::chrono::steady_clock::time_point now);
  // Whether step() has begun: the pair can no longer go back to the relay.
  bool begun() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sni
