#pragma once

// Theory of operation: the ledger of one worker has a flow for each connection from the moment it
// is let in until its last line is written, whoever carries its bytes. A connection in a slot and a
// flow that lives on in the kernel alone end here in the same way: the end is counted, the access
// line written, and the seat among the limits given back.

#include <cstdint>

#include "core/route/backend_lease.h"
#include "core/session/flow_id.h"
#include "core/session/flow_record.h"
#include "core/session/log_gate.h"
#include "net/flow/seat.h"
#include "net/log.h"
#include "net/loop/slots.h"

namespace sni {

struct Flow {
  FlowRecord record;
  Seat seat;
  BackendLease lease;       // Of the route, which the record keeps.
  std::uint32_t place = 0;  // In the ledger.
  // Who carries it: a connection in this slot of the worker, or the packet plane under this name
  // (not 0).
  std::uint32_t slot = 0;
  std::uint64_t splice = 0;
};

// The address that was tried last or is connected to, or what the configuration calls it; empty: it
// has not come so far.
std::string backend_of(const FlowRecord& flow);

class Ledger {
 public:
  // `worker` makes the serials of all workers differ. Both outlive the ledger.
  Ledger(unsigned worker, Shared& shared, Counters& counters)
      : shared_(shared),
        counters_(counters),
        next_serial_((std::uint64_t{worker} << flow_serial_bits) + 1) {}

  // Gives the record its serial. The flow stays where it is until end().
  Flow& open(FlowRecord record, Seat seat);
  // Frees the flow. `gate` limits the lines of flows that never reached a backend; `now_ms`: of the
  // loop.
  void end(Flow& flow, const FlowEnd& end, LogGate& gate, std::uint64_t now_ms);

  // The lines that were written since the last call leave the worker. Once a turn.
  void hand_over_lines() { lines_.hand_over(); }

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
  Slots<Flow> flows_;
  std::uint64_t next_serial_;
  AccessLines lines_;
};

}  // namespace sni
