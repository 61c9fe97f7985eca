#include "main/status_text.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/config/duration.h"
#include "core/counted.h"
#include "main/control_command.h"

namespace sni {
namespace {

using nlohmann::json;

void append_guard(std::string& out, const json& guard) {
  const auto number = [&](const char* name) { return json_number(guard, name); };
  out += "lists: " + counted(number("addresses"), "address", "addresses") + ", " +
         counted(number("prefixes"), "prefix", "prefixes") + ", " + counted(number("bans"), "ban") +
         '\n';
  const json& xdp = json_member(guard, "xdp");
  for (const json& interface : json_member(xdp, "interfaces")) {
    const std::string mode = json_text(interface, "mode", "");
    const std::string reason = json_text(interface, "reason", "");
    out += "XDP on " + json_text(interface, "name") + ": " +
           (mode.empty() ? "not attached" : mode + " mode");
    out += reason.empty() ? "\n" : " (" + reason + ")\n";
  }
  const std::string missing = json_text(xdp, "missing", "");
  if (!missing.empty()) out += "no XDP: " + missing + '\n';
}

std::string of_workers(const json& workers) {
  std::string line;
  for (const json& worker : workers) {
    const json& connections = json_member(worker, "connections");
    line += line.empty() ? "" : ", ";
    line += "worker " + std::to_string(json_number(worker, "number")) + ": ";
    line += connections.is_number_unsigned() ? std::to_string(connections.get<std::uint64_t>())
                                             : "no answer";
  }
  return line;
}

void append_count(std::string& out, const std::string& name, const json& value) {
  if (value.is_object()) {
    for (const auto& [reason, count] : value.items()) {
      append_count(out, std::string(name).append(": ").append(reason), count);
    }
  } else if (value.is_number_unsigned() && value != 0) {
    const std::string digits = std::to_string(value.get<std::uint64_t>());
    out.append(digits.size() < 14 ? 14 - digits.size() : 0, ' ');
    out.append(digits).append("  ").append(name).append("\n");
  }
}

}  // namespace

std::string totals_text(const json& totals) {
  std::string out;
  for (const auto& [name, value] : totals.items()) append_count(out, name, value);
  return out;
}

std::string status_text(const json& status) {
  const std::chrono::seconds uptime(json_number(status, "uptime_s"));
  const json& config = json_member(status, "config");
  std::string out =
      "sni-proxy " + json_text(status, "version") + ", " + json_text(status, "state") + ", pid " +
      std::to_string(json_number(status, "pid")) + ", up " + format_duration(uptime) + '\n';
  out += "configuration " + json_text(config, "path") + ", loaded " + json_text(config, "loaded") +
         '\n';
  for (const json& listener : json_member(status, "listeners")) {
    out += "listening on " + json_text(listener, "address") + " (" + json_text(listener, "name") +
           ", " + json_text(listener, "protocol") + ")\n";
  }
  const json& planes = json_member(status, "planes");
  out += json_text(planes, "used") + '\n';
  for (const json& line : json_member(planes, "missing")) {
    if (line.is_string()) out += "  " + line.get<std::string>() + '\n';
  }
  append_guard(out, json_member(status, "guard"));
  const json& descriptors = json_member(status, "descriptors");
  out += "descriptors " + std::to_string(json_number(descriptors, "open")) + " of at most " +
         std::to_string(json_number(descriptors, "limit")) + '\n';
  out += "connections " + std::to_string(json_number(status, "connections")) + " (" +
         of_workers(json_member(status, "workers")) + "), of which " +
         std::to_string(json_number(status, "relayed")) + " are relayed, of at most " +
         std::to_string(json_number(status, "relayed_max")) + '\n';
  return out + totals_text(json_member(status, "totals"));
}

}  // namespace sni
