#pragma once

// Living connections as a table for people.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sni {

// `connections`: the array that the control socket gives. The oldest stands first.
std::string connections_text(nlohmann::json connections);

}  // namespace sni
