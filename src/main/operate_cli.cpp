#include "main/operate_cli.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "core/config/config.h"
#include "core/traffic/traffic.h"
#include "main/connections_text.h"
#include "main/control_command.h"
#include "main/follow_text.h"
#include "main/status_text.h"
#include "main/traffic_text.h"
#include "net/control/control_client.h"

namespace sni {
namespace {

using nlohmann::json;

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

// The list may be incomplete, which scripts learn by a status of its own.
int complain_of_unanswered(const json& unanswered) {
  if (unanswered.empty()) return 0;
  return complain("these workers did not answer in time: " + unanswered.dump());
}

}  // namespace

struct OperateCli::Options {
  std::string socket = ControlConfig{}.socket;
  std::string id;
  std::string name;
  std::string source;
  std::string backend;
  std::string level;
  std::string by;
  std::size_t top = limits::traffic_top_default;
  bool json = false;
  bool followed = false;
  CLI::App* connections = nullptr;
  CLI::App* kill = nullptr;
  CLI::App* stats = nullptr;
  CLI::App* reload = nullptr;
  CLI::App* drain = nullptr;
  CLI::App* reopen = nullptr;
  CLI::App* log_level = nullptr;

  nlohmann::json flows(const char* command) const {
    nlohmann::json request = {{"command", command}};
    const auto add = [&request](const char* member, const std::string& value) {
      if (!value.empty()) request[member] = value;
    };
    add("id", id);
    add("source", source);
    add("backend", backend);
    if (named()) request["name"] = name;
    return request;
  }
  // --name "" is for clients that sent no name.
  bool named() const { return (*connections)["--name"]->count() + (*kill)["--name"]->count() > 0; }
  int list() const;
  int follow() const;
  int end() const;
  int count() const;
  int read_again() const;
  int start_drain() const;
  int open_anew() const;
  int set_level() const;
};

int OperateCli::Options::list() const {
  nlohmann::json unanswered = nlohmann::json::array();
  const auto found =
      all_pages(socket, flows("connections"), "connections", [&](const nlohmann::json& page) {
        if (page.contains("unanswered")) unanswered.push_back(page.at("unanswered"));
      });
  if (!found) return complain(found.error().what);
  print(json ? found->dump(2) + '\n' : connections_text(*found));
  return complain_of_unanswered(unanswered);
}

// Runs until the user ends this program, or the proxy ends.
int OperateCli::Options::follow() const {
  const auto ended = control_follow(socket, flows("follow"), [this](const nlohmann::json& event) {
    print(json ? event.dump() + '\n' : follow_text(event));
    std::fflush(stdout);
  });
  return complain(ended ? "the proxy has ended, or we did not read fast enough"
                        : ended.error().what);
}

int OperateCli::Options::end() const {
  const auto result = control_call(socket, flows("kill"));
  if (!result) return complain(result.error().what);
  const auto killed = json_member(*result, "killed");
  print(json ? result->dump(2) + '\n' : "killed " + killed.dump() + '\n');
  if (const int status = complain_of_unanswered(json_member(*result, "unanswered"))) return status;
  return killed == 0 ? complain("no such connection") : 0;
}

int OperateCli::Options::count() const {
  nlohmann::json request = {{"command", "stats"}};
  if (!by.empty()) {
    request["by"] = by;
    request["top"] = top;
  }
  const auto result = control_call(socket, std::move(request));
  if (!result) return complain(result.error().what);
  print(json ? result->dump(2) + '\n' : by.empty() ? totals_text(*result) : traffic_text(*result));
  return complain_of_unanswered(json_member(*result, "unanswered"));
}

int OperateCli::Options::read_again() const {
  const auto result = control_call(socket, {{"command", "reload"}});
  if (!result) return complain(result.error().what);
  if (json) {
    print(result->dump(2) + '\n');
  } else {
    for (const auto& message : json_member(*result, "messages")) {
      std::fprintf(stderr, "%s\n", message.get<std::string>().c_str());
    }
  }
  const auto& failure = json_member(*result, "failure");
  return failure.is_string() ? complain(failure.get<std::string>() + "; nothing is changed") : 0;
}

int OperateCli::Options::start_drain() const {
  const auto result = control_call(socket, {{"command", "drain"}});
  if (!result) return complain(result.error().what);
  const std::string left = json_member(*result, "connections").dump();
  print(json ? result->dump(2) + '\n' : "draining, connections left: " + left + '\n');
  return 0;
}

int OperateCli::Options::open_anew() const {
  const auto result = control_call(socket, {{"command", "reopen"}});
  if (!result) return complain(result.error().what);
  const std::string file = json_member(*result, "access_file").get<std::string>();
  print(json           ? result->dump(2) + '\n'
        : file.empty() ? std::string("access lines go to stderr: log.access_file is empty\n")
                       : "opened " + file + '\n');
  return 0;
}

int OperateCli::Options::set_level() const {
  nlohmann::json request = {{"command", "log_level"}};
  if (!level.empty()) request["level"] = level;
  const auto result = control_call(socket, std::move(request));
  if (!result) return complain(result.error().what);
  const auto& now = json_member(*result, "level");
  print(json ? result->dump(2) + '\n' : now.get<std::string>() + '\n');
  return 0;
}

OperateCli::OperateCli(CLI::App& app) : options_(std::make_unique<Options>()) {
  Options& options = *options_;
  options.connections = app.add_subcommand("connections", "Print the connections that live");
  options.kill = app.add_subcommand("kill", "End connections, both ends by a reset");
  options.stats = app.add_subcommand("stats", "Print the counts since the start");
  options.reload = app.add_subcommand("reload", "Read the configuration again, print its mistakes");
  options.drain = app.add_subcommand("drain", "Accept no more, end with the last connection");
  options.reopen = app.add_subcommand("reopen", "Reopen the access file, after a rotation");
  options.log_level =
      app.add_subcommand("log-level", "Print the log's level, or set it until the next reload");
  for (CLI::App* command : {options.connections, options.kill, options.stats, options.reload,
                            options.drain, options.reopen, options.log_level}) {
    add_control_options(*command, options.socket, options.json);
  }
  for (CLI::App* command : {options.connections, options.kill}) {
    command->add_option("ID", options.id, "One connection, by its id as in 1-42");
    command->add_option("--name", options.name,
                        "Those of this server name, or of *.example.com; \"\": without a name");
    command->add_option("--source", options.source, "Those of this client address or prefix");
    command->add_option("--backend", options.backend,
                        "Those to this backend, as configured or by its address");
  }
  CLI::Option* by =
      options.stats
          ->add_option("--by", options.by, "Connections and bytes by this, the heaviest first")
          ->check(CLI::IsMember({"route", "backend", "name", "source", "listener", "plane"}));
  options.stats->add_option("--top", options.top, "With --by: so many rows; the rest is summed")
      ->check(CLI::Range(std::size_t{1}, limits::traffic_top_max))
      ->needs(by)
      ->capture_default_str();
  options.connections->add_flag("--follow", options.followed,
                                "Print connections as they reach their backend and as they end");
  options.log_level->add_option("LEVEL", options.level, "debug, info, warning or error");
}

OperateCli::~OperateCli() = default;

std::optional<int> OperateCli::run() const {
  const Options& options = *options_;
  if (*options.connections) return options.followed ? options.follow() : options.list();
  if (*options.kill) return options.end();
  if (*options.stats) return options.count();
  if (*options.reload) return options.read_again();
  if (*options.drain) return options.start_drain();
  if (*options.reopen) return options.open_anew();
  if (*options.log_level) return options.set_level();
  return std::nullopt;
}

}  // namespace sni
