// Flags -> configuration -> server. Each subcommand is one function; the work is done in the layers
// below.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>

#include "bpf/xdp/xdp_probe.h"
#include "core/counted.h"
#include "core/route/explain.h"
#include "main/backends_cli.h"
#include "main/bench_exec.h"
#include "main/config_cli.h"
#include "main/control_cli.h"
#include "main/operate_cli.h"
#include "main/top_cli.h"
#include "net/loop/ring.h"
#include "net/planes/fast_path.h"
#include "net/server/privileges.h"
#include "net/server/refused_start.h"
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

// Says why the proxy does not start: like `check`, but in lines of the log where that is JSON or
// goes to the journal, which needs their priority.
int refuse_start(const sni::LoadedConfig& loaded, const std::optional<sni::Error>& error) {
  if (loaded.log_format == sni::LogFormat::text && !sni::stderr_is_journal()) {
    print(loaded.diagnostics);
    return error ? fail(*error) : exit_failed;
  }
  if (!sni::log_refused_start(loaded, error)) std::_Exit(exit_failed);
  return exit_failed;
}

int run(const std::string& path) {
  auto signals = sni::take_signals();
  auto loaded = sni::load_config(path);
  if (!loaded) return refuse_start({}, loaded.error());
  if (!signals) return refuse_start(*loaded, signals.error());
  if (!loaded->config) return refuse_start(*loaded, std::nullopt);
  // While there is only one thread: the server's constructor starts another, as does the log.
  if (auto dropped = sni::drop_privileges(*loaded); !dropped) {
    return refuse_start(*loaded, dropped.error());
  }
  sni::LoadedConfig words;
  words.log_format = loaded->log_format;
  try {
    sni::Server server(path, SNI_VERSION);
    return server.run(std::move(*loaded), std::move(*signals)) ? 0 : exit_failed;
  } catch (const std::system_error& error) {
    // pthread_create(3): only at a start do threads throw, later ones are made by net/beside.h.
    const std::string why =
        "cannot start a thread (limit of processes, RLIMIT_NPROC or pids.max?): ";
    return refuse_start(words, sni::Error{.what = why + error.code().message()});
  }
}

// Explains how the client of `question` is routed; status 1 if no backend gets it.
int explain(const sni::LoadedConfig& loaded, const sni::ExplainQuestion& question) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto explanation = sni::explain(*loaded.config, loaded.block_file, question, now);
  if (!explanation) return fail(explanation.error());
  for (const std::string& line : explanation->lines) std::printf("%s\n", line.c_str());
  return explanation->served ? 0 : exit_failed;
}

// Options of `check` besides the file.
struct CheckOptions {
  sni::ExplainQuestion question;
  std::string source;
  CLI::Option* explain = nullptr;
};

void add_explain(CLI::App& command, CheckOptions& options) {
  options.explain =
      command.add_option("--explain", options.question.name,
                         "Say which route and backend this server name gets, and why; "
                         "\"\": a client without a name");
  command.add_option("--alpn", options.question.alpn, "With --explain: protocols that are offered")
      ->needs(options.explain);
  command.add_option("--listener", options.question.listener, "With --explain: where it connects")
      ->needs(options.explain);
  command.add_option("--source", options.source, "With --explain: the client's address")
      ->needs(options.explain);
}

int check(const std::string& path, CheckOptions& options) {
  if (!options.source.empty()) {
    options.question.source = sni::parse_ip(options.source);
    if (!options.question.source) {
      return fail({.what = "--source: '" + options.source + "' is not an address"});
    }
  }
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
  if (*options.explain) return explain(*loaded, options.question);
  std::string found = sni::counted(loaded->config->listeners.size(), "listener") + ", " +
                      sni::counted(loaded->config->routes.size(), "route");
  const std::size_t included = loaded->files.size() - 1;
  if (included != 0) found += ", " + sni::counted(included, "included file");
  std::printf("%s: OK (%s)\n", path.c_str(), found.c_str());
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

// Whoever starts us may have closed some. A socket would get their numbers, and lines for people would
// be written into it.
void hold_standard_descriptors() {
  int null = ::open("/dev/null", O_RDWR);
  while (null >= 0 && null < STDERR_FILENO) null = ::dup(null);
  if (null > STDERR_FILENO) ::close(null);
}

// Of a command, once it has said everything. A script must not take half an answer for a whole one.
int said(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  return fail(
      {.what = "cannot write to standard output: " + std::generic_category().message(errno)});
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_descriptors();
  // First of all, so that an early signal stays pending until the start.
  sni::block_signals();
  CLI::App app("TLS-SNI passthrough proxy: routes by server name, never decrypts");
  std::string config;
  app.add_option("--config", config, "Configuration file (TOML); runs in the foreground");
  app.set_version_flag("--version", SNI_VERSION);
  app.require_subcommand(0, 1);

  CLI::App* check_command =
      app.add_subcommand("check", "Print every mistake of a configuration file");
  check_command->add_option("--config,config", config, "Configuration file (TOML)")->required();
  CheckOptions check_options;
  add_explain(*check_command, check_options);
  CLI::App* probe_command =
      app.add_subcommand("probe", "Print what this kernel and these privileges allow");
  CLI::App* bench_command =
      app.add_subcommand("bench", "Measure the relay planes and other proxies side by side");
  // All further arguments belong to sni-proxy-bench.
  bench_command->prefix_command()->set_help_flag();
  const sni::ConfigCli config_cli(app);
  const sni::ControlCli control(app);
  const sni::OperateCli operate(app);
  const sni::BackendsCli backends(app);
  const sni::TopCli top(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with status 0; CLI11 has its own number for every other error.
    return app.exit(error) == 0 ? said(0) : exit_failed;
  }

  const bool is_proxy = app.get_subcommands().empty() && !config.empty();
  if (is_proxy) return run(config);
  sni::unblock_signals();
  const auto command = [&] {
    if (const auto status = config_cli.run()) return *status;
    if (const auto status = control.run()) return *status;
    if (const auto status = operate.run()) return *status;
    if (const auto status = backends.run()) return *status;
    if (const auto status = top.run()) return *status;
    if (*check_command) return check(config, check_options);
    if (*probe_command) return probe();
    if (*bench_command) return sni::become_bench(bench_command->remaining());
    app.exit(CLI::RequiredError("--config"));
    return exit_failed;
  };
  try {
    return said(command());
  } catch (const nlohmann::json::exception& error) {
    return fail(
        {.what = std::string("the proxy's answer is not of this version: ") + error.what()});
  }
}
