#include "main/config_cli.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>
#include <string>

#include "core/config/config_text.h"
#include "core/import/import.h"
#include "main/control_command.h"
#include "net/interface_index.h"
#include "net/read_file.h"
#include "net/server/loaded_config.h"

namespace sni {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_mistakes = 2;

}  // namespace

struct ConfigCli::Options {
  std::string path = "/etc/sni-proxy/config.toml";  // As in the systemd unit.
  bool show = false;
  ImportFrom from = ImportFrom::sniproxy;
  std::string foreign;
  CLI::App* config = nullptr;
  CLI::App* import_command = nullptr;

  int print() const;
  int take_over() const;
};

int ConfigCli::Options::print() const {
  const auto loaded = load_config(path);
  if (!loaded) {
    complain(loaded.error().what);
    return exit_mistakes;
  }
  for (const Diagnostic& each : loaded->diagnostics) {
    std::fprintf(stderr, "%s\n", each.to_string().c_str());
  }
  if (!loaded->config) return exit_mistakes;
  std::fputs(config_text(*loaded->config, ConfigKeys::all, interface_name).c_str(), stdout);
  return 0;
}

// Only the configuration goes to stdout, so that it can be redirected to a file.
int ConfigCli::Options::take_over() const {
  const auto text = read_file(foreign, limits::import_bytes_max);
  if (!text) return complain(text.error().what);
  const auto imported = import_config(from, *text);
  if (!imported) return complain(foreign + ": " + imported.error().what);
  for (const auto& [line, what] : imported->notes) {
    const std::string place = line == 0 ? foreign : foreign + ':' + std::to_string(line);
    std::fprintf(stderr, "%s: %s\n", place.c_str(), what.c_str());
  }
  std::printf(
      "# Taken over from %s by `sni-proxy import`. Keys that are not here have their\n"
      "# defaults: `sni-proxy config --show FILE` prints them.\n\n%s",
      printable(foreign).c_str(), imported->text.c_str());
  for (const std::string& mistake : imported->mistakes) complain("to be mended: " + mistake);
  return imported->mistakes.empty() ? 0 : exit_failed;
}

ConfigCli::ConfigCli(CLI::App& app) : options_(std::make_unique<Options>()) {
  Options& options = *options_;
  options.config = app.add_subcommand("config", "Print a configuration as it is understood");
  options.config
      ->add_flag("--show", options.show,
                 "Print every key as TOML, with the defaults and all files that are included")
      ->required();
  options.config->add_option("--config,FILE", options.path, "Configuration file (TOML)")
      ->capture_default_str();

  const std::map<std::string, ImportFrom> programs{{"sniproxy", ImportFrom::sniproxy},
                                                   {"haproxy", ImportFrom::haproxy},
                                                   {"nginx", ImportFrom::nginx}};
  options.import_command =
      app.add_subcommand("import", "Print the configuration of another proxy as one of this proxy");
  options.import_command->add_option("PROGRAM", options.from, "sniproxy, haproxy or nginx")
      ->required()
      ->transform(CLI::CheckedTransformer(programs).description(""));
  options.import_command->add_option("FILE", options.foreign, "Its configuration file")->required();
}

ConfigCli::~ConfigCli() = default;

std::optional<int> ConfigCli::run() const {
  if (*options_->config) return options_->print();
  if (*options_->import_command) return options_->take_over();
  return std::nullopt;
}

}  // namespace sni
