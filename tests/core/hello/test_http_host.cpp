#include "core/hello/http_host.h"

#include <doctest/doctest.h>

#include <string>

#include "support/flight.h"

using namespace sni;
using namespace sni::test;

namespace {

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

FlightResult read(std::string_view text) {
  const Delivery delivery = deliver(Protocol::http, bytes_of(text));
  REQUIRE(delivery.complete);
  return delivery.result;
}

FlightResult named(std::string_view name) {
  return FlightCopy{.name = std::string(name)};
}
FlightResult http_error(FlightError error) {
  return std::unexpected(error);
}
const FlightResult bad_head = http_error(FlightError::malformed);

std::string get(std::string_view fields, std::string_view target = "/",
                std::string_view version = "HTTP/1.1") {
  std::string head = "GET ";
  return head.append(target).append(" ").append(version).append("\r\n").append(fields).append(
      "\r\n");
}

}  // namespace

TEST_CASE("the host comes from the Host field, without its port and in lower case") {
  CHECK(read(get("Host: Example.COM\r\n")) == named("example.com"));
  CHECK(read(get("Host: example.com:8080\r\n")) == named("example.com"));
  CHECK(read(get("Host: example.com:\r\n")) == named("example.com"));
  CHECK(read(get("host:example.com.\r\n")) == named("example.com"));
  CHECK(read(get("Accept: */*\r\nHOST:\t example.com \t\r\nX: \xc3\xa9\r\n")) ==
        named("example.com"));
  CHECK(read(get("Host: a.example\r\n", "*")) == named("a.example"));
}

TEST_CASE("an absolute target wins over Host") {
  CHECK(read(get("Host: b.example\r\n", "http://a.example/x")) == named("a.example"));
  CHECK(read(get("Host: b.example\r\n", "HTTPS://A.example:443?x")) == named("a.example"));
  CHECK(read(get("Host: b.example\r\n", "http://a.example")) == named("a.example"));
  CHECK(read(get("Host: b.example\r\n", "http://[::1]/")) == named(""));
  CHECK(read("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n") == named("a.example"));
  CHECK(read(get("", "http://a.example/", "HTTP/1.0")) == named("a.example"));
}

TEST_CASE("a target that is none of the four forms is malformed") {
  for (const auto target : {"a.example", "http:/a.example/", "http:///x", "://a.example/",
                            "ftp://a.example/", "http://user@a.example/", "http://a.example:x/",
                            "http://a.example\\@b.example/", "http://a_b!/", "?x", "http://"}) {
    CAPTURE(target);
    CHECK(read(get("Host: b.example\r\n", target)) == bad_head);
  }
  CHECK(read("CONNECT / HTTP/1.1\r\nHost: b.example\r\n\r\n") == bad_head);
}

TEST_CASE("address literals are not names") {
  CHECK(read(get("Host: 192.0.2.1:80\r\n")) == named(""));
  CHECK(read(get("Host: [2001:db8::1]\r\n")) == named(""));
  CHECK(read(get("Host: [2001:db8::1]:8080\r\n")) == named(""));
  CHECK(read(get("Host: [::1\r\n")) == bad_head);
  CHECK(read(get("Host: [::1]8080\r\n")) == bad_head);
  CHECK(read(get("Host: []\r\n")) == bad_head);
}

TEST_CASE("HTTP/1.1 has one Host and HTTP/1.0 at most one") {
  CHECK(read(get("")) == bad_head);
  CHECK(read(get("", "http://a.example/")) == bad_head);
  CHECK(read(get("", "/", "HTTP/1.0")) == named(""));
  CHECK(read(get("Host:\r\n")) == named(""));
  CHECK(read(get("Host: a.example\r\n", "/", "HTTP/1.0")) == named("a.example"));
  CHECK(read(get("Host: a.example\r\nhost: a.example\r\n")) == bad_head);
  CHECK(read(get("Host: a.example\r\nHost: b.example\r\n", "/", "HTTP/1.0")) == bad_head);
}

TEST_CASE("a Host that is no host is malformed, even where the target decides") {
  for (const auto host : {"a b", "a,b", "a/b", "a@b", "a:b", "a:123456", "a:80:80", "*", "a..b"}) {
    CAPTURE(host);
    const std::string field = std::string("Host: ") + host + "\r\n";
    CHECK(read(get(field)) == bad_head);
    CHECK(read(get(field, "http://a.example/")) == bad_head);
  }
}

TEST_CASE("heads that two servers could read differently are malformed") {
  CHECK(read(get("Host : a.example\r\n")) == bad_head);
  CHECK(read(get("X: y\r\n Host: a.example\r\n")) == bad_head);
  CHECK(read(get(" Host: a.example\r\n")) == bad_head);
  CHECK(read(get("Host: a.example\r\n\t.evil.example\r\n")) == bad_head);
  CHECK(read(get("Host: a.example\r\nno colon\r\n")) == bad_head);
  CHECK(read(get("Host: a.example\r\n: no name\r\n")) == bad_head);
  CHECK(read("GET / HTTP/1.1\nHost: a.example\n\n") == bad_head);
  CHECK(read(get("Host: a.example\r\nX: y\nHost: b.example\r\n")) == bad_head);
  CHECK(read(get("Host: a.example\r\nX: y\rHost: b.example\r\n")) == bad_head);
  CHECK(read(get(std::string("Host: a.example\r\nX: \0\r\n", 23))) == bad_head);
  CHECK(read(get("Host: a.example\r\nX: \x7f\r\n")) == bad_head);
}

TEST_CASE("the request line is method, target and version with one space between") {
  const std::string_view host = " HTTP/1.1\r\nHost: a.example\r\n\r\n";
  CHECK(read(std::string("GET  /") + std::string(host)) == bad_head);
  CHECK(read(std::string("GET / ") + std::string(host)) == bad_head);
  CHECK(read(std::string("GET /a b") + std::string(host)) == bad_head);
  CHECK(read(std::string("GET /\t") + std::string(host)) == bad_head);
  CHECK(read(get("Host: a.example\r\n", "/", "http/1.1")) == bad_head);
  CHECK(read(get("Host: a.example\r\n", "/", "HTTP/1.10")) == bad_head);
  CHECK(read(get("Host: a.example\r\n", "/", "HTTP/1,1")) == bad_head);
}

TEST_CASE("bytes that are not HTTP/1.x are recognised as early as possible") {
  CHECK(read("\x16") == http_error(FlightError::not_the_protocol));
  CHECK(read("\r\n GET") == http_error(FlightError::not_the_protocol));
  CHECK(read(" ") == http_error(FlightError::not_the_protocol));
  CHECK(read("GET\t") == http_error(FlightError::not_the_protocol));
}

TEST_CASE("other versions of HTTP are distinguished from other protocols") {
  CHECK(read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == http_error(FlightError::other_version));
}

TEST_CASE("one empty line before the request is passed over") {
  CHECK(read("\r\n" + get("Host: a.example\r\n")) == named("a.example"));
  const std::string text = "\r\n" + get("Host: a.example\r\n");
  CHECK(deliver(Protocol::http, bytes_of(text), 1, 1).result == named("a.example"));
}

TEST_CASE("line ends before a request are malformed unless they are one empty line") {
  for (const char* text : {"\r\n\r\nGET / HTTP/1.1\r\n", "\r\n\r", "\r\n\n", "\rGET", "\nGET", "\n",
                           "GET\r\n", "GET\n"}) {
    CAPTURE(text);
    CHECK(read(text) == bad_head);
    CHECK(deliver(Protocol::http, bytes_of(text), 1, 1).result == bad_head);
  }
}

TEST_CASE("a request line without a version, as of HTTP/0.9, is malformed at its end") {
  for (const char* text : {"GET /\r\n", "GET /\r", "GET http://a.example/\r\n", "\r\nGET /\r\n",
                           "GET /\r\nHost: a.example\r\n\r\n", "GET /\n"}) {
    CAPTURE(text);
    CHECK(read(text) == bad_head);
    CHECK(deliver(Protocol::http, bytes_of(text), 1, 1).result == bad_head);
  }
}

TEST_CASE("HEAD is recognised whatever follows it") {
  for (const char* text : {"HEAD / HTTP/1.1\r\n\r\n", "\r\nHEAD /\r\n", "HEAD "}) {
    CHECK(asks_for_head_alone(bytes_of(text)));
  }
  for (const char* text :
       {"GET / HTTP/1.1\r\n\r\n", "HEADER / HTTP/1.1\r\n\r\n", "head /", "HEAD", ""}) {
    CHECK_FALSE(asks_for_head_alone(bytes_of(text)));
  }
}

TEST_CASE("a request of an idempotent method may be repeated, and no other one") {
  for (const char* text :
       {"GET / HTTP/1.1\r\n", "\r\nHEAD / HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n",
        "TRACE / HTTP/1.1\r\n", "PUT /a HTTP/1.1\r\n", "DELETE /a HTTP/1.1\r\n"}) {
    CHECK(may_be_repeated(bytes_of(text)));
  }
  for (const char* text :
       {"POST / HTTP/1.1\r\n", "PATCH / HTTP/1.1\r\n", "CONNECT a:443 HTTP/1.1\r\n",
        "LOCK / HTTP/1.1\r\n", "get / HTTP/1.1\r\n", "GETS / HTTP/1.1\r\n", "GET", ""}) {
    CHECK_FALSE(may_be_repeated(bytes_of(text)));
  }
}

TEST_CASE("the whole head counts towards the limit, bytes after it do not") {
  const auto head_of = [](std::size_t size) {
    const std::size_t bare = get("Host: a.example\r\nX: \r\n").size();
    return get("Host: a.example\r\nX: " + std::string(size - bare, 'x') + "\r\n");
  };
  CHECK(read(head_of(limits::http_head_max)) == named("a.example"));
  CHECK(read(head_of(limits::http_head_max) + std::string(100'000, '\n')) == named("a.example"));
  CHECK(read(head_of(limits::http_head_max + 1)) == http_error(FlightError::oversized));
  CHECK(read(std::string(limits::http_head_max, 'A')) == http_error(FlightError::oversized));
}

TEST_CASE("the scan judges each byte of a head once, however it arrives") {
  const std::string head = get("Host: a.example\r\nX: " + std::string(8'000, 'x') + "\r\n");
  std::string seen = head;
  FlightProgress progress;
  std::size_t judged = 0;
  for (std::size_t there = 1; there <= head.size(); ++there) {
    const std::size_t before = progress.position;
    // Before the position only the end of the previous line is read again.
    if (before > 1) seen.replace(0, before - 1, before - 1, '\0');
    const auto need = scan_http_head(bytes_of(std::string_view(seen).substr(0, there)), progress);
    REQUIRE(need.has_value());
    REQUIRE(*need == (there == head.size() ? 0 : there + 1));
    judged += there - before;
  }
  CHECK(progress.position == head.size());
  // A CR is judged again with the byte that follows it, and with nothing else.
  CHECK(judged == head.size() + static_cast<std::size_t>(std::ranges::count(head, '\r')));
}
