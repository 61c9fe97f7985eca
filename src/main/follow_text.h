#pragma once

// One event of `connections --follow` (net/server/server_follow.cpp) as a line for people.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sni {

std::string follow_text(const nlohmann::json& event);

}  // namespace sni
