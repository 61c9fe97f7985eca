#pragma once

// What all workers share: the counts behind the limits, which hold for the process, and what is
// loaded once.

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

// Counts that all workers change stand apart, so that no two of them, nor what is only read, share a
// line of the cache.
inline constexpr std::size_t cache_line = 64;

struct Shared {
  FastPath fast_path;                        // Both set before the first worker starts.
  std::uint64_t run = random_key().front();  // Of this process, for ids that others keep.
  std::optional<DnsMap> dns_map;  // Answers of all workers; empty: each keeps its own alone.
  alignas(cache_line) std::atomic<std::uint32_t> connections{0};
  std::atomic<std::uint32_t> relayed{0};  // Those whose two sockets the proxy has.
  alignas(cache_line) std::atomic<std::uint32_t> pending_hellos{0};
  alignas(cache_line) FlightBudget flights;
  alignas(cache_line) RelayBudget relay_memory;
  alignas(cache_line) SourceCounts sources;
  EndpointBoard board{random_key()};  // Which endpoints do not answer.
  Admission admission;
  FlowNews news;
};

}  // namespace sni
