#pragma once

// The kernel fast path of this process: the programs of the packet plane or of the SOCKHASH,
// loaded, attached and tested once at start, and which of them the workers may use. `auto` takes
// the packet plane, or if that is not possible, the SOCKHASH for backends on this host that cannot
// notice it; it logs at debug what is missing. A mode given by name that is not available at all is
// an error.

#include <memory>
#include <string>
#include <vector>

#include "bpf/sockhash/sockhash.h"
#include "core/config/config.h"
#include "core/session/totals.h"
#include "net/planes/packet_service.h"

namespace sni {

struct FastPath {
  std::unique_ptr<Sockhash> sockhash;     // Empty: everything is relayed in userspace.
  bool local = false;                     // Backends on this host.
  bool remote = false;                    // All others.
  std::unique_ptr<PacketService> packet;  // Empty: no packet plane.
  PacketShare packet_share;               // The share of each worker.
  PacketCounters packet_before{};         // Counted by the self-test, or for an earlier process.
  SockCounters sockhash_before{};         // Counted by the self-test.
  std::vector<std::string> missing;       // What `auto` lacks, and why; for the operator.
};

// `connections_max`: how many pairs there can be at once.
Result<FastPath> start_fast_path(const Config& config, std::uint32_t connections_max);

// For the start line: "packet plane", "sockhash for backends on this host".
std::string in_words(const FastPath& path);

// Appends the counts of the programs: all their rows, of a plane that is not there with 0.
void add_kernel_totals(const FastPath& path, std::vector<Total>& rows);

// Lines for `sni-proxy probe`: what is possible, found out by loading and testing it.
std::vector<std::string> probe_fast_path();

}  // namespace sni
