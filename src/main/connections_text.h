#pragma once

// Live connections as a table for people.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sni {

// `connections`: the array from the control socket. The oldest comes first.
std::string connections_text(nlohmann::json connections);

}  // namespace sni
