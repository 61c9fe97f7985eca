#pragma once

// Theory of operation: the ledger of one worker has a flow for each connection from its admission
// until its access line is written, whichever plane carries its bytes. A connection in a slot and a
// flow that exists only in the kernel end here in the same way: the end is counted, the access line
// is written, and the seat is given back. Traffic is counted at the end and on request before that,
// each time as the increment since the last time.

#include <cstdint>
#include <vector>

#include "core/route/backend_lease.h"
#include "core/session/flow_id.h"
#include "core/session/flow_rate.h"
#include "core/session/flow_record.h"
#include "core/session/log_gate.h"
#include "core/traffic/traffic.h"
#include "net/flow/flow_news.h"
#include "net/flow/seat.h"
#include "net/log.h"
#include "net/loop/slots.h"

namespace sni {

struct Flow {
  FlowRecord record;
  Seat seat;
  BackendLease lease;       // Refers to the route, which the record keeps,
  RoutePlace route_place;   // and so does this.
  std::uint32_t place = 0;  // In the ledger.
  // The carrier: a connection in this slot of the worker, or the packet plane under this name (not
  // 0).
  std::uint32_t slot = 0;
  std::uint64_t splice = 0;
  TrafficCount counted;  // Already counted in the worker's traffic, and under which plane.
  PlaneId counted_plane = PlaneId::none;
  FlowRate rate;
};

// Counts a flow at its route if that has a limit, regardless of it. For flows that are older than
// the limit; those that are counted stay so.
void take_route_place(Flow& flow);
// For a flow that an earlier process accepted: counts it at its backend too, regardless of limits.
void take_places(Flow& flow);

// The address last tried or connected to, or its name in the configuration; empty: none yet.
std::string backend_of(const FlowRecord& flow);

class Ledger {
 public:
  // `worker` makes serials unique over all workers. The others outlive the ledger.
  Ledger(unsigned worker, Shared& shared, Counters& counters, Traffic& traffic)
      : shared_(shared),
        counters_(counters),
        traffic_(traffic),
        next_serial_((std::uint64_t{worker} << flow_serial_bits) + 1) {}

  // Gives the record its serial. The flow stays where it is until end().
  Flow& open(FlowRecord record, Seat seat);
  // The flow has reached its backend.
  void begin(const Flow& flow, std::uint64_t now_ms);
  // Ends and frees the flow. `gate` limits the lines of flows that never reached a backend;
  // `now_ms`: of the loop.
  void end(Flow& flow, const FlowEnd& end, LogGate& gate, std::uint64_t now_ms);

  // Counts a flow that has moved so many bytes so far.
  void settle(Flow& flow, std::uint64_t to_backend, std::uint64_t to_client);

  // Hands over the lines and the followers' events since the last call. To be called once a turn.
  void hand_over_lines();

  std::uint32_t living() const { return flows_.used(); }
  // Places from 0 to places() - 1 have a flow or none.
  std::uint32_t places() const { return flows_.capacity(); }
  Flow* find(std::uint32_t place) { return flows_.find(place); }
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t place = 0; place < flows_.capacity(); ++place) {
      if (Flow* flow = flows_.find(place)) visit(*flow);
    }
  }

 private:
  Shared& shared_;
  Counters& counters_;
  Traffic& traffic_;
  Slots<Flow> flows_;
  std::uint64_t next_serial_;
  AccessLines lines_;
  std::vector<FlowEvent> news_;
  std::uint64_t ended_well_ = 0;
};

}  // namespace sni
