#include "main/follow_text.h"

#include <nlohmann/json.hpp>

#include "core/quantity.h"
#include "main/control_command.h"

namespace sni {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* name) {
  const json& value = json_member(object, name);
  const std::string found = value.is_string() ? value.get<std::string>() : std::string();
  return found.empty() ? "-" : found;
}

}  // namespace

std::string follow_text(const json& event) {
  const std::string kind = text(event, "event");
  if (kind == "missed") {
    return "(" + std::to_string(json_number(event, "count")) + " more came too fast)\n";
  }
  const json& flow = json_member(event, "connection");
  std::string line = (kind == "begin" ? "begin  " : "end    ") + text(flow, "id") + "  " +
                     text(flow, "client") + "  " + text(flow, "server_name") + "  " +
                     text(flow, "backend") + "  " + text(flow, "plane");
  if (kind == "end") {
    line += "  up " + short_bytes(json_number(flow, "client_bytes")) + "  down " +
            short_bytes(json_number(flow, "server_bytes")) + "  after " +
            short_span(json_number(flow, "age_ms")) + "  " + text(event, "end");
  }
  return line + '\n';
}

}  // namespace sni
