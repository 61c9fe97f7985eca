// Flags -> configuration -> server. Each subcommand is one function; what they do lives below.

#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

#include "bpf/xdp/xdp_probe.h"
#include "main/bench_exec.h"
#include "main/control_cli.h"
#include "net/loop/ring.h"
#include "net/planes/fast_path.h"
#include "net/server/server.h"
#include "net/server/signals.h"

namespace {

constexpr int exit_failed = 1;
constexpr int exit_mistakes = 2;

void print(const std::vector<sni::Diagnostic>& diagnostics) {
  for (const sni::Diagnostic& each : diagnostics) {
    std::fprintf(stderr, "%s\n", each.to_string().c_str());
  }
}

int fail(const sni::Error& error) {
  std::fprintf(stderr, "sni-proxy: %s\n", error.what.c_str());
  return exit_failed;
}

int run(const std::string& path) {
  // Before anything else, so that a signal that comes early waits for the start.
  auto signals = sni::take_signals();
  if (!signals) return fail(signals.error());
  auto loaded = sni::load_config(path);
  if (!loaded) return fail(loaded.error());
  print(loaded->diagnostics);
  if (!loaded->config) return exit_failed;
  sni::Server server(path, SNI_VERSION);
  return server.run(std::move(*loaded), std::move(*signals)) ? 0 : exit_failed;
}

int check(const std::string& path) {
  const auto loaded = sni::load_config(path);
  if (!loaded) {
    fail(loaded.error());
    return exit_mistakes;
  }
  print(loaded->diagnostics);
  for (const std::string& warning : loaded->warnings) {
    std::fprintf(stderr, "%s: warning: %s\n", path.c_str(), warning.c_str());
  }
  if (!loaded->config) return exit_mistakes;
  const auto counted = [](std::size_t count, const std::string& what) {
    return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
  };
  std::printf("%s: OK (%s, %s)\n", path.c_str(),
              counted(loaded->config->listeners.size(), "listener").c_str(),
              counted(loaded->config->routes.size(), "route").c_str());
  return 0;
}

int probe() {
  const sni::RingFeatures ring = sni::probe_ring();
  std::printf("io_uring: %s\n", !ring.available ? ring.reason.c_str()
                                : ring.defer_taskrun
                                    ? "yes, with deferred task work"
                                    : "yes, without deferred task work (Linux 6.1)");
  for (const auto& lines : {sni::probe_fast_path(), sni::probe_xdp()}) {
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("TLS-SNI passthrough proxy: routes by server name, never decrypts");
  std::string config;
  app.add_option("--config", config, "Configuration file (TOML); runs in the foreground");
  app.set_version_flag("--version", SNI_VERSION);
  app.require_subcommand(0, 1);

  CLI::App* check_command =
      app.add_subcommand("check", "Print every mistake of a configuration file");
  check_command->add_option("--config,config", config, "Configuration file (TOML)")->required();
  CLI::App* probe_command =
      app.add_subcommand("probe", "Print what this kernel and these privileges allow");
  CLI::App* bench_command =
      app.add_subcommand("bench", "Measure the relay planes and other proxies side by side");
  bench_command->prefix_command()->set_help_flag();  // All that follows is sni-proxy-bench's.
  const sni::ControlCli control(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with status 0; CLI11 has a number of its own for each other.
    return app.exit(error) == 0 ? 0 : exit_failed;
  }

  if (const auto status = control.run()) return *status;
  if (*check_command) return check(config);
  if (*probe_command) return probe();
  if (*bench_command) return sni::become_bench(bench_command->remaining());
  if (config.empty()) {
    app.exit(CLI::RequiredError("--config"));
    return exit_failed;
  }
  return run(config);
}
