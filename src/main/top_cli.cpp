#include "main/top_cli.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/config/config.h"
#include "core/config/duration.h"
#include "main/control_command.h"
#include "main/top_session.h"

namespace sni {

struct TopCli::Options {
  std::string socket = ControlConfig{}.socket;
  std::string interval = "1s";
  CLI::App* top = nullptr;
};

TopCli::TopCli(CLI::App& app) : options_(std::make_unique<Options>()) {
  Options& options = *options_;
  options.top = app.add_subcommand("top", "Watch connections and traffic, full screen");
  options.top->add_option("--socket", options.socket, "The proxy's control socket")
      ->capture_default_str();
  options.top->add_option("--interval", options.interval, "How often to look, 200ms to 1m")
      ->capture_default_str();
}

TopCli::~TopCli() = default;

std::optional<int> TopCli::run() const {
  using namespace std::chrono_literals;
  if (!*options_->top) return std::nullopt;
  const auto interval = parse_duration(options_->interval);
  if (!interval || *interval < 200ms || *interval > 1min) {
    return complain("--interval: '" + options_->interval + "' is not a duration of 200ms to 1m");
  }
  return run_top(options_->socket, *interval);
}

}  // namespace sni
