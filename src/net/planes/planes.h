#pragma once

// The planes of one worker, of which FastPath has at most one, and a connection's place on them. A
// connection on no plane pays one comparison when bytes move.

#include <cstdint>
#include <memory>
#include <optional>

#include "net/planes/plane.h"
#include "net/planes/plane_packet.h"
#include "net/planes/plane_sockhash.h"

namespace sni {

// A connection's place on the planes.
struct PlanePair {
  PlaneTicket packet = no_ticket;
  bool packet_open = false;  // It may still be taken over; implies a ticket.
  PlaneTicket sockhash = no_ticket;
  PlaneId carrier = PlaneId::userspace;  // Stays once taken: the kernel counts the bytes.
  bool gated = false;                    // Receives from the backend go through a GatedReader.
};

class Planes {
 public:
  Planes() = default;  // Everything is relayed in userspace.
  // `run`: of this process (Shared).
  Planes(const FastPath& path, const FastPathConfig& config, Counters& counters, unsigned worker,
         std::uint64_t run);

  // Which planes may have a pair.
  struct Open {
    // The backend's socket may be bound and is routed normally.
    packet_decline packet = PACKET_TAKEN;
    bool sockhash = true;  // Every byte that the backend's socket receives is for the client.
  };
  // Before connect().
  void announce(PlanePair& pair, int client, int backend, const Endpoint& target, Open open,
                std::uint64_t now_ms);
  // Instead of announce(): the packet plane cannot have the connection.
  void decline(packet_decline why, const Endpoint& target) {
    if (packet_ != nullptr) packet_->decline(why, target);
  }
  // To be called after bytes were received from the client or sent to it. Returns whether a plane
  // wants both sockets.
  bool progress(PlanePair& pair, const PlaneView& view, std::uint64_t now_ms) {
    if (pair.packet_open) {
      const PlaneAnswer answer = packet_->wants(pair.packet, view, now_ms);
      pair.packet_open = answer != PlaneAnswer::declined;
      return answer == PlaneAnswer::wanted;
    }
    if (pair.sockhash != no_ticket) settle(pair, sockhash_->progress(pair.sockhash, view));
    return false;
  }
  // See Plane::offer(). Returns whether the pair is gated.
  bool offer(PlanePair& pair, const PlaneView& view);
  // Whether the kernel moved bytes since the last call.
  bool moved(PlanePair& pair);
  // The connect failed, or the connection ends.
  void leave(PlanePair& pair, bool connected, std::uint64_t now_ms);

  // Whether splice(2) sees all that arrives from the backend.
  bool splice_sees_all(const PlanePair& pair) const;
  // Bytes that have entered the client's send queue, if the kernel put any there; else nullopt.
  static std::optional<std::uint64_t> sent_to_client(const PlanePair& pair, int client);

  // For a gated pair: from now on everything passes up to userspace.
  void open_gate(const PlanePair& pair) {
    if (pair.gated) sockhash_->retire(pair.sockhash);
  }
  // Whether all bytes that the kernel took for the client are in the client's send queue.
  bool client_drained(const PlanePair& pair, int client) const {
    return !pair.gated || sockhash_->target_drained(pair.sockhash, client);
  }

  // For the gate's own reader.
  PlaneSockhash& sockhash() { return *sockhash_; }
  PlanePacket& packet() { return *packet_; }
  bool has_packet() const { return packet_ != nullptr; }
  // Readable when take_woken() has something; -1: it never will.
  int notice_fd() const { return sockhash_ == nullptr ? -1 : sockhash_->notice_fd(); }
  // The `wake` of a pair whose bytes have passed up to userspace.
  std::optional<std::uint64_t> take_woken() { return sockhash_->take_woken(); }

 private:
  static void settle(PlanePair& pair, PlaneAnswer answer);

  std::unique_ptr<PlanePacket> packet_;
  std::unique_ptr<PlaneSockhash> sockhash_;
};

}  // namespace sni
