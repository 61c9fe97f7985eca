#include "main/control_command.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <utility>

#include "net/control/control_client.h"

namespace sni {

using nlohmann::json;

void add_control_options(CLI::App& command, std::string& socket, bool& as_json) {
  command.add_option("--socket", socket, "The proxy's control socket")->capture_default_str();
  command.add_flag("--json", as_json, "Print the answer as JSON");
}

int complain(const std::string& what) {
  std::fprintf(stderr, "sni-proxy: %s\n", what.c_str());
  return 1;
}

const json& json_member(const json& object, const char* name) {
  static const json nothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? nothing : *found;
}

std::string json_text(const json& object, const char* name, const char* otherwise) {
  const json& value = json_member(object, name);
  const std::string found = value.is_string() ? value.get<std::string>() : std::string();
  return found.empty() ? otherwise : found;
}

std::uint64_t json_number(const json& object, const char* name) {
  const json& value = json_member(object, name);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

Result<json> all_pages(const std::string& socket, json request, const char* list,
                       const std::function<void(const json&)>& look) {
  json whole = json::array();
  json next = 0;
  while (!next.is_null()) {
    request["from"] = next;
    auto page = control_call(socket, request);
    if (!page) return page;
    for (json& each : page->at(list)) whole.push_back(std::move(each));
    if (look) look(*page);
    next = page->at("next");
  }
  return whole;
}

}  // namespace sni
