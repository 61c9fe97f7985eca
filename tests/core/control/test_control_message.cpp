#include "core/control/control_message.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/traffic/traffic.h"

using namespace sni;
using nlohmann::json;

namespace {

std::string refusal(std::string_view line) {
  const auto request = parse_control_request(line);
  return request ? "taken" : request.error().what;
}

}  // namespace

TEST_CASE("a request is an object with our version and a command") {
  CHECK(refusal(R"({"version": 1, "command": "status"})") == "taken");
  for (const std::string_view line : {"", "[]", "{", "1", "null", "{} {}", "\xff"}) {
    CAPTURE(line);
    CHECK(refusal(line) == "the request is not a JSON object");
  }
  for (const std::string_view line :
       {"{}", R"({"version": 2})", R"({"version": "1", "command": "status"})"}) {
    CHECK(refusal(line) == "this proxy speaks version 1");
  }
  for (const std::string_view line : {R"({"version": 1})", R"({"version": 1, "command": 1})"}) {
    CHECK(refusal(line) == "the request has no command");
  }
}

TEST_CASE("a request that nests deeply is refused without harm") {
  CHECK(refusal(std::string(60'000, '[')) == "the request is not a JSON object");
  CHECK(refusal(std::string(30'000, '[') + std::string(30'000, ']')) ==
        "the request is not a JSON object");
}

TEST_CASE("the members of a request are checked") {
  CHECK(requested_prefix({{"prefix", "192.0.2.0/24"}})->to_string() == "192.0.2.0/24");
  CHECK_FALSE(requested_prefix({{"prefix", 1}}));
  CHECK_FALSE(requested_prefix(json::object()));
  CHECK(*requested_seconds(json::object()) == std::nullopt);
  CHECK(*requested_seconds({{"for_s", 60U}}) == 60);
  for (const json& wrong : {json(0), json(-1), json(1.5), json("60"), json(1e12)}) {
    CHECK_FALSE(requested_seconds({{"for_s", wrong}}));
  }
  CHECK(*requested_position(json::object()) == 0);
  CHECK(*requested_position({{"from", 7U}}) == 7);
  CHECK_FALSE(requested_position({{"from", -7}}));
}

TEST_CASE("answers are one line each") {
  CHECK(json::parse(control_answer({{"a", "b\n"}}))["result"]["a"] == "b\n");
  CHECK(json::parse(control_refusal("no\nway"))["error"] == "no\nway");
  CHECK_FALSE(control_answer({{"a", "b\n"}}).contains('\n'));
  CHECK_FALSE(control_refusal("no\nway").contains('\n'));
}

TEST_CASE("an answer with bytes that are not UTF-8 is still a line") {
  CHECK(json::parse(control_answer("a\xff")).at("result") == "a\ufffd");
  CHECK(json::parse(control_refusal("/tmp/\xff\xfe")).at("error") == "/tmp/\ufffd\ufffd");
}

TEST_CASE("traffic is requested by kind and number of rows") {
  CHECK_FALSE(*requested_traffic(json::object()));
  CHECK(*requested_traffic({{"by", "source"}}) == TrafficKind::source);
  CHECK_FALSE(requested_traffic({{"by", "sources"}}));
  CHECK_FALSE(requested_traffic({{"by", 1}}));
  CHECK(*requested_top(json::object()) == limits::traffic_top_default);
  CHECK(*requested_top({{"top", 1U}}) == 1);
  for (const json& wrong : {json(0U), json(1001U), json(-1), json("1"), json(1.5)}) {
    CHECK_FALSE(requested_top({{"top", wrong}}));
  }
}
