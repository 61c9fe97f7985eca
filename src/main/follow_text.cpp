#include "main/follow_text.h"

#include <nlohmann/json.hpp>

#include "core/quantity.h"
#include "main/control_command.h"

namespace sni {

using nlohmann::json;

std::string follow_text(const json& event) {
  const std::string kind = json_text(event, "event");
  if (kind == "missed") {
    return "(" + std::to_string(json_number(event, "count")) + " more came too fast)\n";
  }
  const json& flow = json_member(event, "connection");
  std::string line = (kind == "begin" ? "begin  " : "end    ") + json_text(flow, "id") + "  " +
                     json_text(flow, "client") + "  " + json_text(flow, "server_name") + "  " +
                     json_text(flow, "backend") + "  " + json_text(flow, "plane");
  if (kind == "end") {
    line += "  up " + short_bytes(json_number(flow, "client_bytes")) + "  down " +
            short_bytes(json_number(flow, "server_bytes")) + "  after " +
            short_span(json_number(flow, "age_ms")) + "  " + json_text(event, "end");
  }
  return line + '\n';
}

}  // namespace sni
