#pragma once

// The answer to the command `status` (net/server/server_status.cpp) as text for a terminal.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sni {

// Missing members, as from another version of the proxy, are left out.
std::string status_text(const nlohmann::json& status);
// Only its "totals": a line for each count that is not 0.
std::string totals_text(const nlohmann::json& totals);

}  // namespace sni
