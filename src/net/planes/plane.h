#pragma once

// Theory of operation: a plane is a way to move the bytes of an established connection. A
// connection relays in userspace until a plane takes its pair. It offers the pair in three steps:
//
//   announce   before connect(), so that a plane can watch the backend's socket from its first
//              packet on
//   progress after bytes have moved: a plane may take the pair then, and later updates its counts
//   offer when the relay is at rest between two receives from the backend
//
// A plane either leaves the sockets where they are (the SOCKHASH), or takes the whole connection
// over: then its slot is freed, and the flow stays in the ledger until the plane ends it. A plane
// that does not take a pair declines it with a counted reason.
//
// Planes are a closed set (net/planes/planes.h), so that no call on the byte path is virtual.

#include <cstdint>

#include "core/session/flow_record.h"

namespace sni {

// A pair's place on one plane.
using PlaneTicket = std::uint32_t;
inline constexpr PlaneTicket no_ticket = UINT32_MAX;

// The data of a connection that planes use.
struct PlaneView {
  int client = -1;
  int backend = -1;
  std::uint64_t sent_to_client = 0;   // Bytes from the backend that userspace has sent.
  std::uint64_t sent_to_backend = 0;  // Bytes from the client likewise.
  std::uint64_t age_ms = 0;           // Since the client was accepted.
  // The packed tag of the receive from the backend, to cancel it.
  std::uint64_t wake = 0;
};

enum class PlaneAnswer : std::uint8_t {
  undecided,  // It wants further calls.
  declined,   // The ticket is gone.
  kept,       // The plane moves bytes; the relay goes on with those that reach userspace.
  wanted,     // The plane wants both sockets: the relay must come to rest.
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
  // To be called when every received byte is sent and no receive from the backend is armed.
  virtual PlaneAnswer offer(PlaneTicket ticket, const PlaneView& view) = 0;
  // Whether the kernel moved bytes since the last call.
  virtual bool moved(PlaneTicket ticket) = 0;
  // The connect failed, or the connection ends. The ticket is gone.
  virtual void leave(PlaneTicket ticket) = 0;
};

}  // namespace sni
