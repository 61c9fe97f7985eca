// Users read config.toml.example first: it loads as it is, has every key with a comment, and its
// values are the defaults.

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config_file.h"
#include "core/config/toml_document.h"

using namespace sni;

namespace {

std::string example_text() {
  std::ifstream file(SNI_SOURCE_DIR "/config.toml.example");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> example_lines() {
  std::istringstream text(example_text());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// "timeouts", "timeouts.hello", ...: as config_keys() names them.
void collect_keys(const TomlTable& table, const std::string& prefix,
                  std::vector<std::string>& keys) {
  for (const TomlEntry& entry : table) {
    keys.push_back(prefix + entry.key);
    const std::string inner = entry.key + '.';
    if (const auto* child = std::get_if<TomlTable>(&entry.node.value)) {
      collect_keys(*child, inner, keys);
    } else if (const auto* items = std::get_if<TomlArray>(&entry.node.value)) {
      for (const TomlNode& item : *items) {
        if (const auto* child_table = std::get_if<TomlTable>(&item.value)) {
          collect_keys(*child_table, inner, keys);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("the example loads without a mistake or a warning") {
  const ConfigResult result = read_config(example_text(), "config.toml.example");
  for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(diagnostic.to_string());
  CHECK(result.diagnostics.empty());
  REQUIRE(result.config.has_value());
  CHECK(result.config->listeners.size() == 1);
  CHECK(result.config->routes.size() == 1);
}

TEST_CASE("the example has every key that there is, and no other") {
  DiagnosticList diagnostics("");
  const auto document = parse_toml(example_text(), diagnostics);
  REQUIRE(document.has_value());
  std::vector<std::string> shown;
  collect_keys(*document, "", shown);
  std::vector<std::string> known = config_keys();
  std::ranges::sort(shown);
  std::ranges::sort(known);
  CHECK(shown == known);
  CHECK(known.size() > 40);
}

TEST_CASE("the values that the example shows are the defaults") {
  const auto example = read_config(example_text(), "config.toml.example").config;
  REQUIRE(example.has_value());
  // Keys without a default are taken from the example.
  Config defaults;
  ListenerConfig listener;
  listener.name = example->listeners.at(0).name;
  listener.address = example->listeners.at(0).address;
  defaults.listeners = {listener};
  RouteConfig route;
  route.names = example->routes.at(0).names;
  route.backends = example->routes.at(0).backends;
  route.listeners = {"https"};
  route.health = example->routes.at(0).health;
  defaults.routes = {route};
  defaults.upstreams = example->upstreams;
  HealthConfig health;
  health.name = example->healths.at(0).name;
  defaults.healths = {health};
  CHECK(example->listeners == defaults.listeners);
  CHECK(example->routes == defaults.routes);
  CHECK(example->timeouts == defaults.timeouts);
  CHECK(example->limits == defaults.limits);
  CHECK(example->dns == defaults.dns);
  CHECK(example->fast_path == defaults.fast_path);
  CHECK(example->access == defaults.access);
  CHECK(example->xdp == defaults.xdp);
  CHECK(example->log == defaults.log);
  CHECK(*example == defaults);
}

TEST_CASE("the example says something about each key") {
  const std::vector<std::string> lines = example_lines();
  const auto is_key = [](const std::string& line) { return line.find(" = ") != line.npos; };
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].starts_with('#') || !is_key(lines[i])) continue;
    CAPTURE(lines[i]);
    // Two keys may share one comment, as bounds do.
    const bool said = lines[i - 1].starts_with('#') ||
                      (i >= 2 && is_key(lines[i - 1]) && lines[i - 2].starts_with('#'));
    CHECK(said);
  }
}

TEST_CASE("the example has no line longer than 100 columns") {
  for (const std::string& line : example_lines()) {
    CAPTURE(line);
    CHECK(line.size() <= 100);
  }
}
