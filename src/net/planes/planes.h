#pragma once

// The planes of one worker, in the order in which they are offered a pair, and a connection's place
// on them. A connection that no plane follows pays one comparison where bytes move.

#include <cstdint>
#include <memory>
#include <optional>

#include "net/planes/plane.h"
#include "net/planes/plane_sockhash.h"

namespace sni {

// A connection's place on the planes.
struct PlanePair {
  PlaneTicket sockhash = no_ticket;
  PlaneId carrier =
      PlaneId::userspace;  // Once taken it stays: the bytes are the kernel's to count.
  bool gated = false;      // Receives from the backend go through a GatedReader.
};

class Planes {
 public:
  Planes() = default;  // Everything is relayed in userspace.
  Planes(const FastPath& path, const FastPathConfig& config, Counters& counters, unsigned worker);

  // Before connect().
  void announce(PlanePair& pair, int client, int backend);
  // Bytes came from the client or were sent to it.
  void progress(PlanePair& pair, const PlaneView& view) {
    if (pair.sockhash != no_ticket) settle(pair, sockhash_->progress(pair.sockhash, view));
  }
  // See Plane::offer(). Whether the pair is gated.
  bool offer(PlanePair& pair, const PlaneView& view);
  // Whether the kernel moved bytes since the last call.
  bool moved(PlanePair& pair);
  // The connect failed, or the connection ends.
  void leave(PlanePair& pair);

  // Whether splice(2) sees all that arrives from the backend.
  bool splice_sees_all(const PlanePair& pair) const;
  // Bytes that have entered the client's send queue, if the kernel put some there; else nullopt.
  static std::optional<std::uint64_t> sent_to_client(const PlanePair& pair, int client);

  PlaneSockhash& sockhash() { return *sockhash_; }
  // Readable when take_woken() has something; -1: it never will.
  int notice_fd() const { return sockhash_ == nullptr ? -1 : sockhash_->notice_fd(); }
  // The `wake` of a pair whose bytes have passed up to userspace.
  std::optional<std::uint64_t> take_woken() { return sockhash_->take_woken(); }

 private:
  static void settle(PlanePair& pair, PlaneAnswer answer);

  std::unique_ptr<PlaneSockhash> sockhash_;
};

}  // namespace sni
