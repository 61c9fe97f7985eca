#include "core/hello/server_name.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

using sni::canonical_server_name;
using sni::name_problem;
using sni::NameProblem;
using sni::without_port;

namespace {

constexpr std::string_view invalid = "(invalid)";
constexpr std::string_view literal = "";

std::string canonical(std::string_view text) {
  std::array<char, sni::limits::server_name_max> out{};
  const auto length = canonical_server_name(text, out);
  return length ? std::string(out.data(), *length) : std::string(invalid);
}

std::string labels(std::size_t count, std::size_t size) {
  std::string name;
  for (std::size_t i = 0; i < count; ++i) name += std::string(size, 'a') + '.';
  return name;
}

}  // namespace

TEST_CASE("a name becomes lower case and loses one trailing dot") {
  CHECK(canonical("Example.COM") == "example.com");
  CHECK(canonical("example.com.") == "example.com");
  CHECK(canonical("localhost") == "localhost");
  CHECK(canonical("_acme-challenge.xn--bcher-kva.example") ==
        "_acme-challenge.xn--bcher-kva.example");
  CHECK(canonical("-a-.1.2x") == "-a-.1.2x");
}

TEST_CASE("text that is not a host name is invalid") {
  using namespace std::string_view_literals;
  for (const auto text : {""sv, "."sv, ".."sv, "a..b"sv, ".a"sv, "a.."sv, "a b"sv, "a\0b"sv,
                          "a\0"sv, "*.example.com"sv,
                          "b\xc3\xbc"
                          "cher.example"sv,
                          "a/b"sv, "a:1"sv, "[::1]"sv, "user@host"sv, "a\n"sv, "%41"sv}) {
    CAPTURE(text);
    CHECK(canonical(text) == invalid);
  }
}

TEST_CASE("labels have at most 63 and names at most 253 characters") {
  CHECK(canonical(std::string(63, 'a')) == std::string(63, 'a'));
  CHECK(canonical(std::string(64, 'a')) == invalid);
  CHECK(canonical("b." + std::string(64, 'a') + ".c") == invalid);

  const std::string longest = labels(4, 62) + "a";  // 4 * 63 + 1 = 253.
  REQUIRE(longest.size() == 253);
  CHECK(canonical(longest) == longest);
  CHECK(canonical(longest + ".") == longest);
  CHECK(canonical(longest + "a") == invalid);
  CHECK(canonical(std::string(100'000, 'a')) == invalid);
}

TEST_CASE("an address literal is not a name, in every spelling that inet_aton() accepts") {
  for (const auto text :
       {"192.0.2.1", "192.0.2.1.", "127.1", "2130706433", "0x7f000001", "0X7F.1", "0x",
        "017700000001", "a.0x1", "::1", "2001:DB8::1", "::ffff:192.0.2.1"}) {
    CAPTURE(text);
    CHECK(canonical(text) == literal);
  }
}

TEST_CASE("the problem of a name is reported") {
  using namespace std::string_view_literals;
  const auto problem = [](std::string_view text) { return name_problem(text); };
  CHECK(problem("") == NameProblem::empty);
  CHECK(problem("a.example") == NameProblem::none);
  CHECK(problem("192.0.2.1") == NameProblem::address);
  CHECK(problem("2001:db8::1") == NameProblem::address);
  CHECK(problem("[2001:db8::1]") == NameProblem::address);
  for (const auto text : {"127.1", "0x7f000001", "192.0.2.1.", "1.2.3", "::1"}) {
    CAPTURE(text);
    CHECK(problem(text) == NameProblem::address);
  }
  for (const auto text : {"1.2.3.4.5", "a.example.1", "999.0.2.1", "a.0x1", "1.2.3.4.5."}) {
    CAPTURE(text);
    CHECK(problem(text) == NameProblem::number);
  }
  CHECK(problem("a.example:443") == NameProblem::port);
  CHECK(problem("b\xc3\xbc"
                "cher.example:443") == NameProblem::not_ascii);
  CHECK(problem(std::string(64, 'a') + ".example") == NameProblem::too_long);
  CHECK(problem(labels(5, 60)) == NameProblem::too_long);
  for (const auto text : {"a b"sv, "a..b"sv, "*.a"sv, "u@a"sv, "a:b"sv, "a\0"sv, "a:123456"sv}) {
    CAPTURE(text);
    CHECK(problem(text) == NameProblem::syntax);
  }
  CHECK(to_string(NameProblem::port) == "has a port");
  CHECK(to_string(NameProblem::number) == "ends in a number");
  CHECK(to_string(NameProblem::syntax) == "is not a host name");
}

TEST_CASE("a port is taken off where there is one and nothing else") {
  CHECK(without_port("a.example:443") == "a.example");
  CHECK(without_port("a.example:65535") == "a.example");
  for (const std::string_view text : {"a.example", "a.example:", ":443", "::1", "a:b", "a:1:2",
                                      "a:0", "a:0443", "a:65536", "a:99999", "a:+1"}) {
    CHECK(without_port(text) == text);
  }
}

TEST_CASE("a name with a numeric label elsewhere than at its end stays a name") {
  CHECK(canonical("1.example") == "1.example");
  CHECK(canonical("192.0.2.1.example") == "192.0.2.1.example");
  CHECK(canonical("0xyz") == "0xyz");
}
