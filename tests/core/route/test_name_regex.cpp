#include "core/route/name_regex.h"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/limits.h"

using namespace sni;

namespace {

NameRegex compiled_regex(std::string_view text) {
  auto compiled = NameRegex::compile(text);
  if (!compiled) MESSAGE(compiled.error().what);
  REQUIRE(compiled);
  return *compiled;
}

std::string regex_refusal(std::string_view text) {
  const auto compiled = NameRegex::compile(text);
  REQUIRE_FALSE(compiled);
  return compiled.error().what;
}

}  // namespace

TEST_CASE("the whole name must match an expression, in either case") {
  const NameRegex app = compiled_regex(R"(/App-(\d+)\.example\.com/)");
  CHECK(app.matches("app-7.example.com"));
  CHECK_FALSE(app.matches("app-7.example.com.evil.example"));
  CHECK_FALSE(app.matches("x.app-7.example.com"));
  CHECK_FALSE(app.matches("app-7xexample.com"));
  CHECK_FALSE(app.matches(""));
  const NameRegex either = compiled_regex("/a|b\\.example/");
  CHECK(either.matches("a"));
  CHECK_FALSE(either.matches("ab.example"));
  CHECK(compiled_regex("/^a$/").matches("a"));
}

TEST_CASE("groups of an expression stand in a text, and those that took no part for nothing") {
  const NameRegex app = compiled_regex(R"(/(?:(dev)-)?([a-z]+)\.(\w+)\.example/)");
  CHECK(app.groups() == 3);
  CHECK(app.expand(R"(\2.\3.internal)", "web.eu.example") == "web.eu.internal");
  CHECK(app.expand(R"(\1x\2\2)", "web.eu.example") == "xwebweb");
  CHECK(app.expand(R"(\1x)", "dev-web.eu.example") == "devx");
  CHECK(app.expand("plain", "web.eu.example") == "plain");
  CHECK_FALSE(app.expand("plain", "other").has_value());
  const NameRegex all = compiled_regex("/(.*)/");
  std::string many;
  for (int i = 0; i < 20; ++i) many += "\\1";
  CHECK(all.expand(many, "abcdefghij")->size() == 200);
  CHECK_FALSE(all.expand(many, std::string(200, 'a')).has_value());
}

TEST_CASE("the groups that a text has are counted by the greatest") {
  CHECK(groups_in_use("\\1.internal") == 1);
  CHECK(groups_in_use("\\2-\\9.internal") == 9);
  CHECK(groups_in_use("1.internal\\") == 0);
  CHECK(groups_in_use("\\0\\x") == 0);
}

TEST_CASE("invalid or too large expressions are refused with the reason") {
  CHECK(regex_refusal("/a") == " has no '/' at its end, as a regular expression has");
  CHECK(regex_refusal("/") == " has no '/' at its end, as a regular expression has");
  CHECK(regex_refusal("//") == " is an empty regular expression");
  CHECK(regex_refusal("/a(/") == " is not a regular expression of RE2: missing ): a(");
  CHECK(regex_refusal("/(a)\\1/").starts_with(" is not a regular expression of RE2: "));
  CHECK(regex_refusal("/(?=a)b/").starts_with(" is not a regular expression of RE2: "));
  CHECK(regex_refusal("/\xc3\xa9/") ==
        " has characters that no name has; names are ASCII (\"xn--...\")");
  CHECK(regex_refusal("/((a{100}){10}){10}/").starts_with(" is "));
  CHECK(regex_refusal("/(a|b){1000}(a|b){1000}(a|b){1000}(a|b){1000}/") ==
        " is a regular expression that would take too much memory");
  CHECK(regex_refusal('/' + std::string(limits::route_regex_bytes + 1, 'a') + '/') ==
        " is a regular expression of more than 1024 bytes");
}

TEST_CASE("an expression that takes other engines years takes no time") {
  const NameRegex hostile = compiled_regex("/(a*)*b|(a|a)*c|(.*)*d/");
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(hostile.matches(std::string(250, 'a')));
  CHECK_FALSE(hostile.expand("\\1", std::string(250, 'a')).has_value());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}
