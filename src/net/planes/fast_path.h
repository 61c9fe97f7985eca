#pragma once

// What of the kernel fast path there is in this process: the SOCKHASH programs, loaded, attached
// and tried once at start, and which of their planes the workers may use. `auto` degrades with a
// line in the log that says what is missing; a mode asked for by name that cannot be had at all is
// an error.

#include <memory>
#include <string>
#include <vector>

#include "bpf/sockhash/sockhash.h"
#include "core/config/config.h"
#include "net/planes/packet_service.h"

namespace sni {

struct FastPath {
  std::unique_ptr<Sockhash> sockhash;     // Empty: everything is relayed in userspace.
  bool local = false;                     // Backends on this host.
  bool remote = false;                    // All others.
  std::unique_ptr<PacketService> packet;  // Empty: no packet plane.
  std::uint32_t packet_ports = 0;         // Local ports that each worker may reserve for it.
};

// `connections_max`: how many pairs there can be at once.
Result<FastPath> start_fast_path(const Config& config, std::uint32_t connections_max);

// Lines for `sni-proxy probe`: what would be possible, by loading and trying it.
std::vector<std::string> probe_fast_path();

}  // namespace sni
