#pragma once

// The messages of the control socket, one JSON object a line (net/control/control_socket.h shows
// them). Any bytes become a request or an error, and any result or error becomes an answer.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/address/address.h"
#include "core/error.h"
#include "core/traffic/traffic.h"

namespace sni {

inline constexpr int control_version = 1;

// An object with our version and a string "command".
Result<nlohmann::json> parse_control_request(std::string_view line);
// Without the newline.
std::string control_answer(nlohmann::json result);
std::string control_refusal(const std::string& why);
// A line of a stream that a client follows, not an answer.
std::string control_event(nlohmann::json event);

// The members of requests.
Result<IpPrefix> requested_prefix(const nlohmann::json& request);
// "for_s", 1 to limits::block_for_max_s; nullopt: permanently.
Result<std::optional<std::uint32_t>> requested_seconds(const nlohmann::json& request);
// "from"; 0 where it is absent.
Result<std::size_t> requested_position(const nlohmann::json& request);
// "by": a kind of traffic; nullopt: it is absent.
Result<std::optional<TrafficKind>> requested_traffic(const nlohmann::json& request);
// "top", 1 to limits::traffic_top_max; limits::traffic_top_default where it is absent.
Result<std::size_t> requested_top(const nlohmann::json& request);

}  // namespace sni
