#pragma once

// The SOCKHASH plane: which pair goes to the kernel, when, and the bookkeeping from then on. The
// sockets stay with the connection, which relays what the kernel does not move.
//
// A pair with a backend on the same host keeps its io_uring requests: redirect_msg decides whether
// the backend's bytes leave by the client's socket or complete the armed receive. A pair that is
// not taken is declined with a counted reason.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "bpf/sockhash/sock_slots.h"
#include "core/config/config.h"
#include "core/session/counters.h"
#include "net/planes/fast_path.h"
#include "net/planes/plane.h"

namespace sni {

class PlaneSockhash final : public Plane {
 public:
  PlaneSockhash(const FastPath& path, const FastPathConfig& config, Counters& counters,
                unsigned worker);

  PlaneId id() const override { return PlaneId::sockhash; }
  // Lets the other end be captured if it is on this host.
  PlaneTicket announce(int client, int backend) override;
  // Takes a pair with a backend on this host, and grants it credit from then on.
  PlaneAnswer progress(PlaneTicket ticket, const PlaneView& view) override;
  // Takes a pair with a remote backend, behind the gate.
  PlaneAnswer offer(PlaneTicket ticket, const PlaneView& view) override;
  bool moved(PlaneTicket ticket) override;
  void leave(PlaneTicket ticket) override { slots_.give_back(ticket); }

  // redirect_msg sends for a backend on this host.
  bool is_local(PlaneTicket ticket) const { return pairs_[ticket].stage == Stage::local; }

  // For gated pairs.
  std::uint64_t pending(PlaneTicket ticket) const { return slots_.pending(ticket); }
  // Whether pending bytes are lost: then the pair must be reset.
  bool torn(PlaneTicket ticket) const { return slots_.torn(ticket); }
  // True: take_woken() returns `wake` of the view when bytes pass. False: some have passed already.
  [[nodiscard]] bool fall_asleep(PlaneTicket ticket) { return slots_.fall_asleep(ticket); }
  // Whether all that arrived from the backend, its FIN included, was redirected or read.
  bool source_drained(PlaneTicket ticket, int backend) const;
  // Whether all redirected bytes are in the client's send queue.
  bool target_drained(PlaneTicket ticket, int client) const {
    return slots_.target_drained(ticket, client);
  }
  // From now on everything passes up to userspace.
  void retire(PlaneTicket ticket) { slots_.disarm(ticket); }
  // -1: no pair is ever gated.
  int notice_fd() const { return path_.remote ? slots_.notice_fd() : -1; }
  std::optional<std::uint64_t> take_woken();

  // Bytes that have entered the client's send queue by any way.
  static std::uint64_t sent_to_client(int client);

 private:
  enum class Stage : std::uint8_t {
    announced,  // Undecided: the backend may be captured, or be remote.
    local,      // redirect_msg sends for a backend on this host.
    gated,      // redirect_skb sends what arrives from a remote backend.
  };
  struct Pair {
    Stage stage = Stage::announced;
    std::uint64_t client_cookie = 0;
    std::uint64_t redirected = 0;  // At the last call of moved().
    std::uint64_t relayed = 0;     // gated: bytes to the client before the hand-over,
    std::uint64_t wake = 0;        // and what wakes its reader.
  };

  bool due(const PlaneView& view) const;
  PlaneAnswer decide(PlaneTicket ticket, const PlaneView& view);
  PlaneAnswer grant(PlaneTicket ticket, const PlaneView& view);
  PlaneAnswer decline(PlaneTicket ticket, PlaneDecline reason);
  void count_decline(PlaneDecline reason);

  SockSlots slots_;
  const FastPath& path_;
  FastPathConfig config_;
  Counters& counters_;
  std::vector<Pair> pairs_;  // By slot, which is the ticket; as many as were in use.
};

}  // namespace sni
