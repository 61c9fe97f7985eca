#pragma once

// Shared by all workers: the counts behind the process-wide limits, and everything that is loaded
// once.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "bpf/dns/dns_map.h"
#include "core/guard/source_counts.h"
#include "core/route/endpoint_board.h"
#include "net/connect/flight.h"
#include "net/flow/flow_news.h"
#include "net/guard/admission.h"
#include "net/planes/fast_path.h"
#include "net/random_key.h"
#include "net/relay/relay_budget.h"

namespace sni {

// Counts that all workers change are aligned to cache lines, so that they share none with each
// other or with read-only data.
inline constexpr std::size_t cache_line = 64;

struct Shared {
  FastPath fast_path;                        // Both set before the first worker starts.
  std::uint64_t run = random_key().front();  // Identifies this process in ids that others keep.
  std::optional<DnsMap> dns_map;  // Answers of all workers; empty: each has only its own.
  alignas(cache_line) std::atomic<std::uint32_t> connections{0};
  std::atomic<std::uint32_t> relayed{0};  // Connections whose two sockets the proxy has.
  alignas(cache_line) std::atomic<std::uint32_t> pending_hellos{0};
  alignas(cache_line) FlightBudget flights;
  alignas(cache_line) RelayBudget relay_memory;
  alignas(cache_line) SourceCounts sources;
  EndpointBoard board{random_key()};  // Endpoints that are out.
  Admission admission;
  FlowNews news;
};

}  // namespace sni
