#include "main/backends_cli.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "core/config/config.h"
#include "main/control_command.h"
#include "main/text_table.h"
#include "net/control/control_client.h"

namespace sni {
namespace {

using nlohmann::json;

std::string table(const json& backends) {
  std::vector<TableRow> rows{{"BACKEND", "STATE", "CONNECTIONS", "MAX", "QUEUED", "HEALTH"}};
  for (const json& each : backends) {
    const json& most = json_member(each, "max_connections");
    const json& health = json_member(each, "health");
    rows.push_back(
        {json_text(each, "backend"), json_text(each, "state"),
         json_member(each, "connections").dump(), most == 0 ? "-" : most.dump(),
         json_member(each, "queued").dump(),
         health.is_null() ? "-" : health.at("up").dump() + '/' + health.at("known").dump()});
    for (const json& address : json_member(each, "addresses")) {
      rows.push_back(
          {"  " + json_text(address, "address"), json_text(address, "state"), "", "", "", ""});
    }
  }
  return text_table(rows, 2);
}

}  // namespace

struct BackendsCli::Options {
  std::string socket = ControlConfig{}.socket;
  std::string disable;
  std::string enable;
  bool json = false;
  CLI::App* backends = nullptr;

  int list() const;
  int change() const;
};

int BackendsCli::Options::list() const {
  const auto listed = all_pages(socket, {{"command", "backends"}}, "backends");
  if (!listed) return complain(listed.error().what);
  const std::string text =
      json ? nlohmann::json{{"backends", *listed}}.dump(2) + '\n' : table(*listed);
  std::fputs(text.c_str(), stdout);
  return 0;
}

int BackendsCli::Options::change() const {
  const bool out = !disable.empty();
  const auto result = control_call(
      socket, {{"command", out ? "disable" : "enable"}, {"backend", out ? disable : enable}});
  if (!result) return complain(result.error().what);
  const bool changed = result->value("changed", false);
  const std::string said = std::string(changed ? "" : "already ") + (out ? "disabled" : "enabled");
  std::printf("%s\n", json ? result->dump(2).c_str() : said.c_str());
  return 0;
}

BackendsCli::BackendsCli(CLI::App& app) : options_(std::make_unique<Options>()) {
  Options& options = *options_;
  options.backends = app.add_subcommand("backends", "Print the backends, or take one out and back");
  add_control_options(*options.backends, options.socket, options.json);
  CLI::Option* disable = options.backends->add_option(
      "--disable", options.disable, "This one, as configured, gets no new connections any more");
  options.backends->add_option("--enable", options.enable, "This one gets connections again")
      ->excludes(disable);
}

BackendsCli::~BackendsCli() = default;

std::optional<int> BackendsCli::run() const {
  const Options& options = *options_;
  if (!*options.backends) return std::nullopt;
  return options.disable.empty() && options.enable.empty() ? options.list() : options.change();
}

}  // namespace sni
