#pragma once

// Shared by the commands to a running proxy: options, paging and error messages.

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace CLI {
class App;
}

namespace sni {

// Adds --socket and --json; both variables must outlive the parsing.
void add_control_options(CLI::App& command, std::string& socket, bool& as_json);

// Prints an error to stderr and returns the exit status.
int complain(const std::string& what);

// Null if it is missing, as from another version of the proxy.
const nlohmann::json& json_member(const nlohmann::json& object, const char* name);
// `otherwise` if it is missing or empty.
std::string json_text(const nlohmann::json& object, const char* name, const char* otherwise = "-");
// 0 if it is missing.
std::uint64_t json_number(const nlohmann::json& object, const char* name);

// Asks for all pages and joins the member `list` of each. `look`, if given, sees each page.
Result<nlohmann::json> all_pages(const std::string& socket, nlohmann::json request,
                                 const char* list,
                                 const std::function<void(const nlohmann::json&)>& look = {});

}  // namespace sni
