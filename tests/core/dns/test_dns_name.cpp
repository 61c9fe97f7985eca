#include "core/dns/dns_name.h"

#include <doctest/doctest.h>

#include <string>

using namespace sni;

TEST_CASE("a name becomes lower case and loses its trailing dot") {
  const auto name = parse_dns_name("WWW.Example.COM");
  REQUIRE(name);
  CHECK(name->view() == "www.example.com");
  CHECK(name->text() == "www.example.com");
  CHECK_FALSE(name->absolute);
}

TEST_CASE("a last dot makes a name absolute and stays in its text") {
  const auto name = parse_dns_name("web.");
  REQUIRE(name);
  CHECK(name->absolute);
  CHECK(name->view() == "web");
  CHECK(name->text() == "web.");
}

TEST_CASE("names that hosts have are taken") {
  for (const char* text : {"a", "a-b", "_dmarc.example", "1.example", "xn--bcher-kva.example",
                           "3com.com", "0x7f.example", "a.0xg"}) {
    CAPTURE(text);
    CHECK(parse_dns_name(text));
  }
}

TEST_CASE("anything that is not clearly a host name is refused") {
  for (const char* text : {"", ".", "..", "a..b", ".a", "a.b..", "a b", "a/b", "a:1", "*.example",
                           "b\xc3\xbc"
                           "cher.example",
                           "a\\.b", "a\nb", "a,b", "[::1]"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_dns_name(text));
  }
  CHECK_FALSE(parse_dns_name(std::string_view("a\0b", 3)));
}

TEST_CASE("a name that other software may read as an IPv4 address is refused") {
  for (const char* text : {"1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "10.0.0.1", "a.1",
                           "1.2.3.4.", "0x", "a.0XFF"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_dns_name(text));
  }
}

TEST_CASE("labels have at most 63 bytes and names at most 253") {
  const std::string label(63, 'a');
  CHECK(parse_dns_name(label));
  CHECK_FALSE(parse_dns_name(label + 'a'));
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
  REQUIRE(longest.size() == 253);
  CHECK(parse_dns_name(longest));
  const auto absolute = parse_dns_name(longest + '.');
  REQUIRE(absolute);
  CHECK(absolute->text() == longest + '.');
  CHECK_FALSE(parse_dns_name(longest + 'b'));
}

TEST_CASE("a service is an absolute name behind its mark, and no host name") {
  const auto service = parse_service_name("srv:_HTTPS._tcp.example");
  REQUIRE(service);
  CHECK(service->is_service());
  CHECK(service->text() == "srv:_https._tcp.example.");
  CHECK(parse_service_name("srv:_https._tcp.example.")->text() == service->text());
  CHECK_FALSE(parse_dns_name("srv:_https._tcp.example"));
  CHECK_FALSE(parse_dns_name("srv.example")->is_service());
  for (const std::string text : {"_https._tcp.example", "srv:", "srv:a b", "srv:a:1"}) {
    CHECK_FALSE(parse_service_name(text));
  }
  const std::string label(63, 'a');
  const std::string name = label + '.' + label + '.' + label + '.';
  CHECK(parse_service_name("srv:" + name + std::string(57, 'b')));
  CHECK_FALSE(parse_service_name("srv:" + name + std::string(58, 'b')));
}
