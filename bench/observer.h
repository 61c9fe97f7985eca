#pragma once

// An operator's eyes on a proxy under load: its metrics are scraped once a second, as Prometheus
// would, and `sni-proxy top` runs on a terminal of 100 columns.

#include <string>

#include "bench/process.h"
#include "core/error.h"

namespace sni::bench {

struct Observed {
  std::string program;         // sni-proxy
  std::string control_socket;  // Paths.
  std::string metrics_socket;
};

// The observer ends with the child. It gives up with an exit status of 1 where the proxy does not
// answer as it should.
Result<Child> observe(const Observed& observed);

}  // namespace sni::bench
