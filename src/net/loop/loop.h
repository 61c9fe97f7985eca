#pragma once

// Shared by the connections of one worker. Everything here belongs to the worker's thread except
// `shared`, which belongs to the process.

#include <array>
#include <cstdint>
#include <memory>

#include "bpf/packet/monotonic.h"
#include "core/route/forward_policy.h"
#include "core/route/place_queue.h"
#include "core/session/counters.h"
#include "core/session/deadlines.h"
#include "core/session/log_gate.h"
#include "net/dns/resolver.h"
#include "net/flow/ledger.h"
#include "net/loop/buffer_pool.h"
#include "net/loop/ring.h"
#include "net/loop/shared.h"
#include "net/planes/planes.h"
#include "net/relay/low_water.h"
#include "net/relay/parking.h"
#include "net/relay/splice.h"

namespace sni {

struct Loop {
  Ring ring;
  std::unique_ptr<BufferPool> buffers;
  Parking parking;
  SplicePool splices;
  LowWaterQueue low_water;
  std::unique_ptr<Resolver> resolver;
  Deadlines deadlines;
  Shared& shared;
  Counters& counters;
  Ledger ledger;
  Planes planes;
  PlaceBell& bell;       // Rung for connections of this worker.
  ForwardPolicy policy;  // Of the worker's current snapshot.
  LogGate refusals_log;
  LogGate changes_log;       // For backends of the configuration that go out and come back.
  std::uint32_t races = 0;   // Connects under way beside the first of their connection.
  std::uint64_t now_ms = 0;  // CLOCK_MONOTONIC, taken once a turn.
  // Joins a ClientHello that is spread over several records; used within one call.
  std::array<std::uint8_t, limits::hello_bytes_max + limits::handshake_header> hello_scratch;
};

}  // namespace sni
