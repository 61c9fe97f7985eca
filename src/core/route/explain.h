#pragma once

// What becomes of a client by a configuration, and by which of its rules: `sni-proxy check
// --explain`. It asks the routing table that the proxy uses; nothing is resolved or connected to.

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

struct ExplainQuestion {
  std::string name;               // As the client sends it; empty: none.
  std::string listener;           // By its name; empty: the first one that a route serves it on.
  std::vector<std::string> alpn;  // What the client offers.
  std::optional<IpAddress> source;
};

struct Explanation {
  std::vector<std::string> lines;
  bool served = false;  // A backend gets it.
};

// `block_file`: entries of access.block_file. Errors: the question makes no sense.
Result<Explanation> explain(const Config& config, std::span<const AccessEntry> block_file,
                            const ExplainQuestion& question, std::chrono::sys_seconds now);

}  // namespace sni
