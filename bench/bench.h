#pragma once

// `sni-proxy-bench`: measures the relay planes, and the peers found on the machine, side by side in
// a lab of its own. lab.h has the place, columns.h the measurements, and proxies.h the proxies.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace sni::bench {

struct BenchOptions {
  int rounds = 0;                 // 0: 12, or 1 with quick.
  double seconds = 0;             // Window of a step; 0: as long as the time allows.
  bool quick = false;             // Under a minute instead of under ten.
  bool print_configs = false;     // Print the peers' configurations and end.
  bool loopback = false;          // No namespaces even with the privileges.
  std::vector<std::string> only;  // Rows and columns; empty: all.
  std::string json_file;
  std::string html_file;
  std::string proxy;  // The sni-proxy under test; empty: the one in this program's directory.
};

void add_bench_options(CLI::App& app, BenchOptions& options);

// 0; 1 if a row was not valid or nothing could be measured; 130 after SIGINT or SIGTERM.
int bench_main(const BenchOptions& options);

}  // namespace sni::bench
