#pragma once

// Observes a proxy under load like an operator: its metrics are scraped once a second, as by
// Prometheus, and `sni-proxy top` runs on a terminal of 100 columns.

#include <string>

#include "bench/process.h"
#include "core/error.h"

namespace sni::bench {

struct Observed {
  std::string program;         // sni-proxy
  std::string control_socket;  // Paths.
  std::string metrics_socket;
};

// The observer ends with the child. It exits with status 1 if the proxy does not answer as
// expected.
Result<Child> observe(const Observed& observed);

}  // namespace sni::bench
