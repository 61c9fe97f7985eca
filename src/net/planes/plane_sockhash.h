#pragma once

// The SOCKHASH planes as a worker's connections see them: which pair goes to the kernel, when, and
// what is owed to it from then on. The connection relays as ever; it announces its backend socket
// before connect(), tells of progress after completions, and asks how much moved without it.
//
// A pair that the kernel takes keeps its io_uring requests on the same host: what the backend
// writes leaves by the client's socket or comes to the armed receive, as redirect_msg decides. One
// that it does not take was declined for a reason, which is counted.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "bpf/sockhash/sock_slots.h"
#include "core/config/config.h"
#include "core/session/counters.h"
#include "net/planes/fast_path.h"

namespace sni {

// A connection's place on the planes.
struct PlanePair {
  enum class Stage : std::uint8_t {
    userspace,  // Not taken, or not offered.
    announced,  // The backend may be caught, or be remote: it is not decided yet.
    local,      // redirect_msg sends for a backend on this host.
    gated,      // redirect_skb sends what arrives from a remote backend.
  };
  std::uint32_t slot = 0;
  Stage stage = Stage::userspace;
  bool taken = false;            // It has been on a plane, so its bytes are the kernel's to count.
  std::uint64_t redirected = 0;  // At the last look of the idle check.
  std::uint64_t client_cookie = 0;
  std::uint64_t relayed = 0;  // gated: bytes to the client before the hand-over.
};

// What a plane needs to know of a connection to decide.
struct PlaneView {
  int client = -1;
  int backend = -1;
  std::uint64_t sent_to_client = 0;  // Bytes of the backend that userspace has sent in whole.
  std::uint64_t age_ms = 0;          // Since the backend was connected.
};

class PlaneSockhash {
 public:
  PlaneSockhash(const FastPath& path, const FastPathConfig& config, Counters& counters,
                unsigned worker);

  // Before connect(): the other end can then be caught if it is on this host.
  void announce(PlanePair& pair, int client, int backend);
  // The connect failed, or the connection ends.
  void leave(PlanePair& pair);

  // For a remote backend, with nothing received that is not sent and no receive armed: true where
  // redirect_skb has taken over, and pending() and the like hold from then on. `wake` comes out of
  // take_woken() when bytes have passed after fall_asleep().
  bool hand_over(PlanePair& pair, const PlaneView& view, std::uint64_t wake);
  std::uint64_t pending(const PlanePair& pair) const { return slots_.pending(pair.slot); }
  // Pending bytes are lost: the pair must be reset.
  bool torn(const PlanePair& pair) const { return slots_.torn(pair.slot); }
  [[nodiscard]] bool fall_asleep(const PlanePair& pair) { return slots_.fall_asleep(pair.slot); }
  // Whether all that arrived from the backend, its FIN included, was redirected or read.
  bool source_drained(const PlanePair& pair, int backend) const;
  // Whether all of that is in the client's send queue.
  bool target_drained(const PlanePair& pair, int client) const;
  // From now on everything passes.
  void retire(const PlanePair& pair) { slots_.disarm(pair.slot); }
  int notice_fd() const { return slots_.notice_fd(); }
  std::optional<std::uint64_t> take_woken();

  // Something happened that concerns the pair: bytes came from the client or were sent to it.
  void advance(PlanePair& pair, const PlaneView& view);
  // Whether the kernel moved bytes since the last call.
  bool moved(PlanePair& pair) const;

  // Bytes that have entered the client's send queue, by whatever way.
  static std::uint64_t sent_to_client(int client);

 private:
  bool due(const PlaneView& view) const;
  void decide(PlanePair& pair, const PlaneView& view);
  void decline(PlanePair& pair, PlaneDecline reason);

  SockSlots slots_;
  const FastPath& path_;
  FastPathConfig config_;
  Counters& counters_;
  std::vector<std::uint64_t> wakes_;  // By slot; as many as were in use.
};

}  // namespace sni
