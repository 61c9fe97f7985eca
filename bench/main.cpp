// sni-proxy-bench: the program that `sni-proxy bench` executes. It measures the sni-proxy in its
// own directory.

#include <CLI/CLI.hpp>

#include "bench/bench.h"

int main(int argc, char** argv) {
  CLI::App app("Measures the relay planes of sni-proxy and other proxies side by side");
  sni::bench::BenchOptions options;
  sni::bench::add_bench_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  return sni::bench::bench_main(options);
}
