#include "core/control/control_message.h"

#include <nlohmann/json.hpp>

#include "core/config/config_forms.h"
#include "core/limits.h"

namespace sni {

using nlohmann::json;

namespace {

// Paths, for example, need not be UTF-8; invalid bytes become U+FFFD.
std::string line_of(const json& message) {
  return message.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

}  // namespace

Result<json> parse_control_request(std::string_view line) {
  json request = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!request.is_object()) return fail("the request is not a JSON object");
  const auto version = request.find("version");
  if (version == request.end() || *version != control_version) {
    return fail("this proxy speaks version " + std::to_string(control_version));
  }
  const auto command = request.find("command");
  if (command == request.end() || !command->is_string()) {
    return fail("the request has no command");
  }
  return request;
}

std::string control_answer(json result) {
  return line_of({{"version", control_version}, {"ok", true}, {"result", std::move(result)}});
}

std::string control_refusal(const std::string& why) {
  return line_of({{"version", control_version}, {"ok", false}, {"error", why}});
}

std::string control_event(json event) {
  event["version"] = control_version;
  return line_of(event);
}

Result<IpPrefix> requested_prefix(const json& request) {
  const auto prefix = request.find("prefix");
  if (prefix == request.end() || !prefix->is_string()) return fail("the request has no prefix");
  return forms::prefix(prefix->get<std::string>());
}

Result<std::optional<std::uint32_t>> requested_seconds(const json& request) {
  const auto given = request.find("for_s");
  if (given == request.end()) return std::nullopt;
  if (!given->is_number_unsigned() || *given == 0 || *given > limits::block_for_max_s) {
    return fail("for_s is not a number of seconds from 1 to " +
                std::to_string(limits::block_for_max_s));
  }
  return given->get<std::uint32_t>();
}

Result<std::size_t> requested_position(const json& request) {
  const auto from = request.find("from");
  if (from == request.end()) return 0;
  if (!from->is_number_unsigned()) return fail("from is not a position");
  return from->get<std::size_t>();
}

Result<std::optional<TrafficKind>> requested_traffic(const json& request) {
  const auto by = request.find("by");
  if (by == request.end()) return std::nullopt;
  const auto kind = by->is_string() ? parse_traffic_kind(by->get_ref<const std::string&>())
                                    : std::optional<TrafficKind>();
  if (kind) return kind;
  return fail("by is not one of listener, route, backend, name, source and plane");
}

Result<std::size_t> requested_top(const json& request) {
  const auto top = request.find("top");
  if (top == request.end()) return limits::traffic_top_default;
  if (!top->is_number_unsigned() || *top == 0 || *top > limits::traffic_top_max) {
    return fail("top is not a number from 1 to " + std::to_string(limits::traffic_top_max));
  }
  return top->get<std::size_t>();
}

}  // namespace sni
