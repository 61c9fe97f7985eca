#pragma once

// The answer to `stats --by` (net/control/traffic_answer.h) as a table for people.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sni {

std::string traffic_text(const nlohmann::json& answer);

}  // namespace sni
