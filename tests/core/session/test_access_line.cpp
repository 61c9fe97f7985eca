#include "core/session/access_line.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "support/client_hello_builder.h"

using namespace sni;

namespace {

AccessRecord sample() {
  return {.client = {.ip = parse_ip("192.0.2.7").value(), .port = 50123},
          .listener = "https",
          .server_name = "a.example",
          .alpn = "h2",
          .tls_version = 0x0304,
          .ech = true,
          .route = "*.example",
          .backend = "[2001:db8::1]:8443",
          .attempts = 2,
          .resolve_ms = 12,
          .queue_ms = 40,
          .connect_ms = 251,
          .client_bytes = 517,
          .server_bytes = 18'446'744'073'709'551'615u,
          .duration_ms = 1500,
          .plane = "userspace",
          .end = "done"};
}

std::string every_byte() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  return bytes;
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

TEST_CASE("link-local clients and proxies are shown with the name of their interface") {
  AccessRecord record = sample();
  record.client = *parse_endpoint("[fe80::1%2]:1000");
  record.proxy = *parse_endpoint("[fe80::2%2]:2000");
  const std::string line =
      access_line(record, LogFormat::text, [](std::uint32_t) { return std::string("v0"); });
  CHECK(line.starts_with("client=[fe80::1%v0]:1000 proxy=[fe80::2%v0]:2000 "));
}

TEST_CASE("the text line has every field in a fixed order") {
  CHECK(access_line(sample(), LogFormat::text) ==
        "client=192.0.2.7:50123 listener=https server_name=a.example alpn=h2 tls=1.3 ech=offered "
        "route=*.example backend=[2001:db8::1]:8443 attempts=2 resolve_ms=12 queue_ms=40 "
        "connect_ms=251 client_bytes=517 "
        "server_bytes=18446744073709551615 duration_ms=1500 plane=userspace end=done");
}

TEST_CASE("the JSON line is an object with the same keys in the same order") {
  const auto line = access_line(sample(), LogFormat::json);
  CHECK(line ==
        R"({"client":"192.0.2.7:50123","listener":"https","server_name":"a.example","alpn":"h2",)"
        R"("tls":"1.3","ech":"offered","route":"*.example","backend":"[2001:db8::1]:8443",)"
        R"("attempts":2,"resolve_ms":12,"queue_ms":40,"connect_ms":251,"client_bytes":517,)"
        R"("server_bytes":18446744073709551615,"duration_ms":1500,)"
        R"("plane":"userspace","end":"done"})");
  CHECK(nlohmann::json::accept(line));
}

TEST_CASE("the reason why the backend was not reached comes last") {
  AccessRecord record = sample();
  record.error = "connection refused";
  CHECK(access_line(record, LogFormat::text).ends_with(" end=done error=\"connection refused\""));
  CHECK(access_line(record, LogFormat::json)
            .ends_with(R"("end":"done","error":"connection refused"})"));
}

TEST_CASE("the line has the id that was sent to the backend") {
  AccessRecord record = sample();
  record.unique_id = "5f0c9a83d1e2b746-1-42";
  CHECK(
      access_line(record, LogFormat::text).ends_with(" end=done unique_id=5f0c9a83d1e2b746-1-42"));
}

TEST_CASE("a proxy that announced the client comes after it") {
  AccessRecord record = sample();
  record.proxy = {.ip = parse_ip("10.0.0.1").value(), .port = 4711};
  CHECK(access_line(record, LogFormat::text)
            .starts_with("client=192.0.2.7:50123 proxy=10.0.0.1:4711 listener=https "));
}

TEST_CASE("an upstream comes after its backend") {
  AccessRecord record = sample();
  record.upstream = "exit";
  CHECK(access_line(record, LogFormat::text)
            .contains(" backend=[2001:db8::1]:8443 upstream=exit attempts="));
}

TEST_CASE("unknown values are empty, and shown as empty") {
  const AccessRecord record{.client = {.ip = parse_ip("192.0.2.7").value(), .port = 1}};
  CHECK(
      access_line(record, LogFormat::text) ==
      R"(client=192.0.2.7:1 listener="" server_name="" alpn="" tls="" ech=no route="" backend="" )"
      R"(attempts=0 resolve_ms=0 queue_ms=0 connect_ms=0 client_bytes=0 server_bytes=0 duration_ms=0 )"
      R"(plane="" end="")");
}

TEST_CASE("an error comes at the end") {
  AccessRecord record = sample();
  record.server_name =
      "b\xc3\xbc"
      "cher.example:443";
  record.error = "the name is not ASCII";
  CHECK(
      access_line(record, LogFormat::text).contains(R"( server_name="b\xc3\xbccher.example:443")"));
  CHECK(
      access_line(record, LogFormat::text).ends_with(R"( end=done error="the name is not ASCII")"));
  CHECK(nlohmann::json::parse(access_line(record, LogFormat::json))["error"] == record.error);
  const std::string longest(1000, 'a');
  record.server_name = longest;
  CHECK(
      access_line(record, LogFormat::text).contains('=' + std::string(logged_name_max, 'a') + ' '));
}

TEST_CASE("hostile bytes reach neither format raw") {
  const std::string bytes = every_byte();
  AccessRecord record = sample();
  record.server_name = record.alpn = record.route = record.listener = record.backend = bytes;
  record.plane = record.end = bytes;

  CHECK(is_printable(access_line(record, LogFormat::text)));

  const std::string json = access_line(record, LogFormat::json);
  CHECK(is_printable(json));
  const auto object = nlohmann::json::parse(json);
  CHECK(object.size() == 17);
  // Each byte is the code point of its number, so none is lost.
  const std::string text = object["alpn"].get<std::string>();
  const auto continuation = [](char c) { return (static_cast<std::uint8_t>(c) & 0xc0) == 0x80; };
  CHECK(text.size() - static_cast<std::size_t>(std::ranges::count_if(text, continuation)) == 256);
}

TEST_CASE("a client cannot forge a field or a line") {
  AccessRecord record = sample();
  record.alpn = "h2\" end=done\n2026 client=x";
  const std::string line = access_line(record, LogFormat::text);
  CHECK(line.contains(R"( alpn="h2\" end=done\x0a2026 client=x" tls=)"));
  record.alpn = "a=b";
  CHECK(access_line(record, LogFormat::text).contains(R"( alpn="a=b" )"));
  record.alpn = "\\";
  CHECK(access_line(record, LogFormat::text).contains(R"( alpn="\\" )"));
}

TEST_CASE("versions are named, unknown ones shown as numbers") {
  const auto version = [](std::uint16_t number) {
    AccessRecord record = sample();
    record.tls_version = number;
    return nlohmann::json::parse(access_line(record, LogFormat::json))["tls"].get<std::string>();
  };
  CHECK(version(0) == "");
  CHECK(version(0x0300) == "ssl3");
  CHECK(version(0x0301) == "1.0");
  CHECK(version(0x0303) == "1.2");
  CHECK(version(0x0305) == "0x0305");
  CHECK(version(0x7f1c) == "0x7f1c");
}

TEST_CASE("escaping leaves printable text alone and is unambiguous elsewhere") {
  CHECK(escape_for_log("a.example: it's fine") == "a.example: it's fine");
  CHECK(escape_for_log("\x1b[31m\r\n\"\\x00\"\xc3\xa9\x7f") ==
        R"(\x1b[31m\x0d\x0a\"\\x00\"\xc3\xa9\x7f)");
  CHECK(is_printable(escape_for_log(every_byte())));
}

TEST_CASE("the first protocol of an ALPN list") {
  CHECK(first_protocol({}) == "");
  CHECK(first_protocol(test::text_bytes("\x02h2\x08http/1.1")) == "h2");
  CHECK(first_protocol(test::text_bytes("\x05h2")) == "");
}
