// `include`: how files are joined, and that mistakes are reported under their names.

#include "core/config/config_include.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "core/limits.h"
#include "support/config_mistakes.h"

using namespace sni;

namespace {

using Files = std::map<std::string, std::string>;

// A pattern that ends in "*" matches the files with that prefix, any other pattern only itself.
IncludeFiles from(const Files& files) {
  return {.list = [&files](std::string_view pattern) -> Result<std::vector<std::string>> {
            if (!pattern.ends_with('*')) return std::vector{std::string(pattern)};
            pattern.remove_suffix(1);
            std::vector<std::string> paths;
            for (const auto& [path, text] : files) {
              if (path.starts_with(pattern)) paths.push_back(path);
            }
            return paths;
          },
          .read = [&files](const std::string& path, std::size_t bytes_max) -> Result<std::string> {
            const auto file = files.find(path);
            if (file == files.end()) return fail("cannot open " + path);
            if (file->second.size() > bytes_max) return fail("cannot use " + path);
            return file->second;
          }};
}

ConfigResult read(std::string_view text, const Files& files) {
  return read_config(text, "c.toml", {}, from(files));
}

Messages messages(std::string_view text, const Files& files) {
  const ConfigResult result = read(text, files);
  Messages all;
  for (const Diagnostic& each : result.diagnostics) all.push_back(each.to_string());
  CHECK(result.config.has_value() == all.empty());
  return all;
}

const std::string base =
    "include = ['d/*']\n[[listener]]\nname = 'https'\naddress = '0.0.0.0:443'\n";

std::string route(std::string_view name) {
  return "[[route]]\nnames = ['" + std::string(name) + "']\nbackend = '10.0.0.5:8443'\n";
}

}  // namespace

TEST_CASE("tables of all files are joined in the order of the files") {
  const Files files{{"d/2", route("two.example") + "[timeouts]\nidle = '1h'\n"},
                    {"d/1", route("one.example") + route("uno.example")}};
  const ConfigResult result = read(base + route("main.example"), files);
  REQUIRE(result.config.has_value());
  std::string names;
  for (const RouteConfig& each : result.config->routes) names += each.names.at(0) + ' ';
  CHECK(names == "main.example one.example uno.example two.example ");
  CHECK(result.config->timeouts.idle == std::chrono::hours(1));
  CHECK(result.files == std::vector<std::string>{"c.toml", "d/1", "d/2"});
}

TEST_CASE("a pattern that matches no file is not a mistake, a missing file is one") {
  CHECK(messages(base + route("a.example"), {}).empty());
  CHECK(messages("include = 'd/1'\n" + route("a.example"), {}) ==
        Messages{"c.toml:1:11: 'include' at the top level: cannot open d/1"});
}

TEST_CASE("a file that two patterns stand for is read once") {
  const Files files{{"d/1", route("one.example")}};
  const std::string both = "include = ['d/1', 'd/*']\n" + base.substr(base.find('\n') + 1);
  CHECK(messages(both, files).empty());
}

TEST_CASE("mistakes are reported with their file") {
  const Files files{
      {"d/1", route("one.example")},
      {"d/2", route("one.example") + "bakend = 1\n"},
      {"d/3", "[[listener]]\nname = 'https'\naddress = '0.0.0.0:443'\nprotocol = 'http'\n"}};
  CHECK(
      messages(base, files) ==
      Messages{"d/2:2:10: name 'one.example' in [[route]] is hidden by the [[route]] in line 1 of "
               "d/1, which has it too",
               "d/2:4:1: unknown key 'bakend' in [[route]]; did you mean 'backend'?",
               "d/3:2:8: listener 'https' is already defined in line 3 of c.toml",
               "d/3:3:11: address 0.0.0.0:443 is already that of the listener in line 4 of "
               "c.toml"});
}

TEST_CASE("syntax errors of all files are reported, but not mistakes that only follow from them") {
  const Files files{{"d/1", "[[route]\n"}, {"d/2", route("a.example")}, {"d/3", "x = \n"}};
  const Messages all = messages(base, files);
  REQUIRE(all.size() == 2);
  CHECK(all[0].starts_with("d/1:1:"));
  CHECK(all[1].starts_with("d/3:1:"));
}

TEST_CASE("a table that two files have is a mistake that names the first") {
  const Files files{{"d/1", "[timeouts]\nidle = '1m'\n"}, {"d/2", "\n[timeouts]\nhello = '1s'\n"}};
  CHECK(messages(base + route("a.example"), files) ==
        Messages{"d/2:2:2: 'timeouts' is already in line 1 of d/1; one file has all of it"});
}

TEST_CASE("an included file cannot include others") {
  const Files files{{"d/1", "include = ['d/*']\n"}};
  CHECK(messages(base + route("a.example"), files) ==
        Messages{"d/1:1:1: 'include' at the top level: a file that is included cannot include "
                 "others"});
}

TEST_CASE("an invalid pattern is reported once") {
  CHECK(
      messages(
          "include = ['', '*/x.toml', 7]\n" + base.substr(base.find('\n') + 1) + route("a.example"),
          {}) ==
      Messages{"c.toml:1:12: 'include' at the top level: '' is not a path of files, as in "
               "\"conf.d/*.toml\"",
               "c.toml:1:16: 'include' at the top level: '*/x.toml' has wildcards in a directory; "
               "only the last part may have them",
               "c.toml:1:28: 'include' at the top level must be a string, not an integer"});
}

TEST_CASE("patterns, files and their bytes are bounded") {
  std::string patterns = "include = [";
  for (std::size_t i = 0; i <= limits::include_patterns_max; ++i) patterns += "'d/*',";
  CHECK(messages(patterns + "]\n", {}).at(0).ends_with("more than 64 patterns"));
  Files many;
  for (std::size_t i = 0; i <= limits::include_files_max; ++i) many["d/" + std::to_string(i)] = "";
  CHECK(messages(base, many).at(0).ends_with("more than 4096 files are included"));
  // The bytes of one file are no longer available to the next.
  std::vector<std::size_t> left;
  IncludeFiles counted;
  counted.read = [&left](const std::string&, std::size_t bytes_max) -> Result<std::string> {
    left.push_back(bytes_max);
    return std::string(1000, '\n');
  };
  counted.list = [](std::string_view) -> Result<std::vector<std::string>> {
    return std::vector<std::string>{"d/1", "d/2"};
  };
  read_config(base, "c.toml", {}, counted);
  CHECK(left == std::vector{limits::config_bytes_max - base.size(),
                            limits::config_bytes_max - base.size() - 1000});
}

TEST_CASE("without a way to read files an include is a mistake") {
  CHECK(mistakes("include = 'a'\n") ==
        Messages{"c.toml:1:11: 'include' at the top level: no file can be included here"});
}

TEST_CASE("the format of the log is known in spite of mistakes, unless its file cannot be parsed") {
  const std::string json = "[log]\nformat = 'json'\n";
  CHECK(read(base + json, {}).log_format == LogFormat::json);
  CHECK(read(json + "[timeouts]\nidel = '1s'\n", {}).log_format == LogFormat::json);
  CHECK(read(base + json, {{"d/1", "a = = b"}}).log_format == LogFormat::json);
  CHECK(read(base, {{"d/1", "[[["}, {"d/2", json}}).log_format == LogFormat::json);
  CHECK(read(json + "a = = b", {}).log_format == LogFormat::text);
  CHECK(read("[log]\nformat = 'jsno'\n", {}).log_format == LogFormat::text);
  CHECK(read(base, {}).log_format == LogFormat::text);
}

TEST_CASE("half a configuration has only the mistake that made it half") {
  CHECK(read("include = ['none']\n[timeouts]\nidel = '1s'\n", {}).diagnostics.size() == 1);
}
