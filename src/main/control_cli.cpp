#include "main/control_cli.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/address/address.h"
#include "core/config/config.h"
#include "core/config/duration.h"
#include "core/counted.h"
#include "main/control_command.h"
#include "main/status_text.h"
#include "net/control/control_client.h"

namespace sni {
namespace {

using nlohmann::json;

std::string member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void print(const json& result) {
  std::puts(result.dump(2).c_str());
}

int block(const std::string& socket, const std::string& prefix, const std::string& duration,
          bool as_json) {
  json request = {{"command", "block"}, {"prefix", prefix}};
  if (!duration.empty()) {
    const auto length = parse_duration(duration);
    const auto seconds = length ? std::chrono::ceil<std::chrono::seconds>(*length).count() : 0;
    if (seconds <= 0) return complain("--for: write a number and a unit, as in 10m or 2h");
    request["for_s"] = static_cast<std::uint64_t>(seconds);
  }
  const auto result = control_call(socket, std::move(request));
  if (!result) return complain(result.error().what);
  if (as_json) print(*result);
  return 0;
}

void tell_unblocked(const json& result, const std::string& prefix) {
  for (const json& ban : result.at("bans")) {
    std::printf("lifted the ban of %s\n", ban.get<std::string>().c_str());
  }
  if (result.at("configured") == true) {
    std::printf("%s is in the configuration: a reload blocks it again\n", prefix.c_str());
  }
  for (const json& outer : result.at("still_by")) {
    std::printf("still blocked by %s\n", outer.get<std::string>().c_str());
  }
}

int unblock(const std::string& socket, const std::string& prefix, bool as_json) {
  const auto result = control_call(socket, {{"command", "unblock"}, {"prefix", prefix}});
  if (!result) return complain(result.error().what);
  as_json ? print(*result) : tell_unblocked(*result, prefix);
  if (result->at("was_blocked") == true || !result->at("bans").empty()) return 0;
  return complain(prefix + " was not blocked");
}

// Sorts by address, not by text.
void sort_by_prefix(std::vector<json>& entries) {
  std::ranges::stable_sort(entries, {}, [](const json& entry) {
    return parse_prefix(member(entry, "prefix")).value_or(IpPrefix{});
  });
}

int blocklist(const std::string& socket, bool as_json) {
  auto found = all_pages(socket, {{"command", "blocklist"}}, "entries");
  if (!found) return complain(found.error().what);
  auto& entries = found->get_ref<std::vector<json>&>();
  sort_by_prefix(entries);
  if (as_json) {
    print(entries);
    return 0;
  }
  for (const json& entry : entries) {
    std::string notes;
    if (entry.contains("left_s")) {
      const std::chrono::seconds left(json_number(entry, "left_s"));
      notes += "  " + format_duration(left) + " left";
    }
    if (entry.contains("commanded")) notes += "  by command";
    std::printf("%-5s %s%s\n", member(entry, "kind").c_str(), member(entry, "prefix").c_str(),
                notes.c_str());
  }
  return 0;
}

int blocklist_hits(const std::string& socket, bool as_json) {
  const auto result = control_call(socket, {{"command", "blocklist_hits"}});
  if (!result) return complain(result.error().what);
  if (as_json) {
    print(*result);
    return 0;
  }
  for (const json& hit : result->at("hits")) {
    std::printf("%12llu %-5s %s\n", static_cast<unsigned long long>(json_number(hit, "packets")),
                member(hit, "kind").c_str(), member(hit, "prefix").c_str());
  }
  const std::uint64_t more = json_number(*result, "more");
  if (more > 0) std::printf("and %s with fewer\n", counted(more, "entry", "entries").c_str());
  return 0;
}

int status(const std::string& socket, bool as_json) {
  const auto result = control_call(socket, {{"command", "status"}});
  if (!result) return complain(result.error().what);
  std::fputs((as_json ? result->dump(2) + '\n' : status_text(*result)).c_str(), stdout);
  return 0;
}

}  // namespace

struct ControlCli::Options {
  std::string socket = ControlConfig{}.socket;
  std::string prefix;
  std::string duration;
  bool hits = false;
  bool json = false;
  CLI::App* block = nullptr;
  CLI::App* unblock = nullptr;
  CLI::App* blocklist = nullptr;
  CLI::App* status = nullptr;
};

ControlCli::ControlCli(CLI::App& app) : options_(std::make_unique<Options>()) {
  Options& options = *options_;
  options.block = app.add_subcommand("block", "Block a source in a running proxy");
  options.unblock = app.add_subcommand("unblock", "Take back a block, and bans with it");
  options.blocklist = app.add_subcommand("blocklist", "Print what a running proxy blocks");
  options.status = app.add_subcommand("status", "Print what a running proxy is doing");
  for (CLI::App* command : {options.block, options.unblock, options.blocklist, options.status}) {
    add_control_options(*command, options.socket, options.json);
  }
  for (CLI::App* command : {options.block, options.unblock}) {
    command->add_option("ADDR[/LEN]", options.prefix, "Address or prefix")->required();
  }
  options.block->add_option("--for", options.duration,
                            "How long, as in 10m; else until it is unblocked or the proxy ends");
  options.blocklist->add_flag("--hits", options.hits,
                              "Print what XDP has dropped, by entry, since the last reload");
}

ControlCli::~ControlCli() = default;

std::optional<int> ControlCli::run() const {
  const Options& options = *options_;
  if (*options.block) {
    return block(options.socket, options.prefix, options.duration, options.json);
  }
  if (*options.unblock) return unblock(options.socket, options.prefix, options.json);
  if (*options.status) return status(options.socket, options.json);
  if (!*options.blocklist) return std::nullopt;
  return options.hits ? blocklist_hits(options.socket, options.json)
                      : blocklist(options.socket, options.json);
}

}  // namespace sni
