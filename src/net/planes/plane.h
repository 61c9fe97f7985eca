#pragma once

// Theory of operation: how established bytes move is a plane. A connection relays in userspace
// until a plane takes its pair. It offers the pair in three steps:
//
//   announce   before connect(), so that a plane can watch the backend's socket from its first
//              packet on
//   progress   after bytes have moved: a plane may take the pair then, and later keeps its books
//   offer      where the relay is at rest between two receives from the backend
//
// A plane either keeps the sockets where they are (the SOCKHASH), or takes the connection over whole:
// its slot is freed then, and the flow lives on in the ledger until the plane ends it. What a plane
// does not take, it declines with a reason that is counted.
//
// Planes are a closed set (net/planes/planes.h), so that nothing on the way of a byte is virtual.

#include <cstdint>

#include "core/session/flow_record.h"

namespace sni {

// A pair's place on one plane.
using PlaneTicket = std::uint32_t;
inline constexpr PlaneTicket no_ticket = UINT32_MAX;

// What a plane knows of a connection.
struct PlaneView {
  int client = -1;
  int backend = -1;
  std::uint64_t sent_to_client = 0;   // Bytes of the backend that userspace has sent in whole.
  std::uint64_t sent_to_backend = 0;  // Bytes of the client likewise.
  std::uint64_t age_ms = 0;           // Since the client was accepted.
  std::uint64_t wake = 0;             // Cancels the armed receive from the backend: its packed tag.
};

enum class PlaneAnswer : std::uint8_t {
  undecided,  // It asks to be told of more.
  declined,   // The ticket is gone.
  kept,       // The plane moves bytes; the relay goes on with what comes up to userspace.
  wanted,     // Both sockets are wanted: the relay is to come to rest.
  gated,      // As kept, but receives from the backend go through net/planes/gated_reader.h.
};

class Plane {
 public:
  Plane() = default;
  Plane(const Plane&) = delete;
  Plane& operator=(const Plane&) = delete;
  virtual ~Plane() = default;

  virtual PlaneId id() const = 0;
  // no_ticket: declined. `backend` is not connected yet.
  virtual PlaneTicket announce(int client, int backend) = 0;
  virtual PlaneAnswer progress(PlaneTicket ticket, const PlaneView& view) = 0;
  // Nothing is received that is not sent, and no receive from the backend is armed.
  virtual PlaneAnswer offer(PlaneTicket ticket, const PlaneView& view) = 0;
  // Whether the kernel moved bytes since the last call.
  virtual bool moved(PlaneTicket ticket) = 0;
  // The connect failed, or the connection ends. The ticket is gone.
  virtual void leave(PlaneTicket ticket) = 0;
};

}  // namespace sni
