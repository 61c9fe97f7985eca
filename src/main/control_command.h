#pragma once

// What the commands to a running proxy share: their options, their pages, and how they complain.

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace CLI {
class App;
}

namespace sni {

// --socket and --json; both variables stay where they are until all is parsed.
void add_control_options(CLI::App& command, std::string& socket, bool& as_json);

// Says on stderr what went wrong. The exit status.
int complain(const std::string& what);

// Null where it is not there, as of another version of the proxy.
const nlohmann::json& json_member(const nlohmann::json& object, const char* name);
// `otherwise` where it is not there or empty.
std::string json_text(const nlohmann::json& object, const char* name, const char* otherwise = "-");
// 0 where it is not there.
std::uint64_t json_number(const nlohmann::json& object, const char* name);

// Asks for page after page: what `list` of them holds, together. `look`, where given, sees each.
Result<nlohmann::json> all_pages(const std::string& socket, nlohmann::json request,
                                 const char* list,
                                 const std::function<void(const nlohmann::json&)>& look = {});

}  // namespace sni
