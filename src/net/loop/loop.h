#pragma once

// What the connections of one worker share. Everything here belongs to the worker's thread, but for
// `shared`, which belongs to the process.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "bpf/dns/dns_map.h"
#include "core/guard/source_counts.h"
#include "core/route/silent_endpoints.h"
#include "core/session/counters.h"
#include "core/session/deadlines.h"
#include "core/session/log_gate.h"
#include "net/dns/resolver.h"
#include "net/guard/admission.h"
#include "net/loop/buffer_pool.h"
#include "net/loop/ring.h"
#include "net/planes/plane_sockhash.h"
#include "net/relay/parking.h"
#include "net/relay/patience.h"
#include "net/relay/splice.h"

namespace sni {

// Counted over all workers, since the limits are.
struct Shared {
  FastPath fast_path;             // Both set before the first worker starts.
  std::optional<DnsMap> dns_map;  // Answers of all workers; empty: each keeps its own alone.
  std::atomic<std::uint32_t> connections{0};
  std::atomic<std::uint32_t> pending_hellos{0};
  ParkedBudget parked;
  SourceCounts sources;
  Admission admission;
};

struct Loop {
  Ring ring;
  std::unique_ptr<BufferPool> buffers;
  Parking parking;
  SplicePool splices;
  Patience patience;
  SilentEndpoints silent;
  std::unique_ptr<Resolver> resolver;
  Deadlines deadlines;
  Shared& shared;
  Counters& counters;
  std::unique_ptr<PlaneSockhash> plane;  // Empty: everything is relayed in userspace.
  LogGate refusals_log;
  std::uint64_t now_ms = 0;  // CLOCK_MONOTONIC, taken once a turn.
  // Joins a ClientHello that is spread over several records; used within one call.
  std::array<std::uint8_t, limits::hello_max + limits::handshake_header> hello_scratch;
};

inline std::uint64_t monotonic_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace sni
