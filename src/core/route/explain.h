#pragma once

// What a configuration does with a client, and by which rule: `sni-proxy check --explain`. It uses
// the proxy's own routing table; nothing is resolved or connected to.

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
  std::string listener;           // By name; empty: the first on which a route serves the client.
  std::vector<std::string> alpn;  // What the client offers.
  std::optional<IpAddress> source;
};

struct Explanation {
  std::vector<std::string> lines;
  bool served = false;  // A backend serves it.
};

// `block_file`: entries of access.block_file. Errors: the question makes no sense.
Result<Explanation> explain(const Config& config, std::span<const AccessEntry> block_file,
                            const ExplainQuestion& question, std::chrono::sys_seconds now);

}  // namespace sni
