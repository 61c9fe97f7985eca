#include "core/hello/redirect.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "core/hello/http_host.h"

using namespace sni;

namespace {

FirstFlight read_head(const std::string& head) {
  const auto flight =
      parse_http_head({reinterpret_cast<const std::uint8_t*>(head.data()), head.size()});
  REQUIRE(flight.has_value());
  return *flight;
}

std::string location(const std::string& head) {
  const std::string answer = redirect_to_https(read_head(head));
  const std::string_view field = "\r\nLocation: ";
  const std::size_t begin = answer.find(field);
  if (begin == answer.npos) return answer;
  return answer.substr(begin + field.size(), answer.find("\r\n", begin + 2) - begin - field.size());
}

}  // namespace

TEST_CASE("a redirect keeps host, path and query and drops the port") {
  CHECK(location("GET /x?y=1 HTTP/1.1\r\nHost: A.example:8080\r\n\r\n") ==
        "https://a.example/x?y=1");
  CHECK(location("GET http://b.example:80/z HTTP/1.1\r\nHost: a.example\r\n\r\n") ==
        "https://b.example/z");
  CHECK(location("GET http://b.example?q HTTP/1.1\r\nHost: a.example\r\n\r\n") ==
        "https://b.example/?q");
  CHECK(location("GET http://b.example HTTP/1.1\r\nHost: a.example\r\n\r\n") ==
        "https://b.example/");
  CHECK(location("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n") == "https://192.0.2.1/");
  CHECK(location("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n") == "https://[2001:db8::1]/");
}

TEST_CASE("a request that names no host cannot be redirected") {
  CHECK(location("GET / HTTP/1.0\r\n\r\n").empty());
}

TEST_CASE("only a resource of the host can be redirected") {
  const auto redirects = [](const std::string& line) {
    return can_redirect(read_head(line + " HTTP/1.1\r\nHost: a.example\r\n\r\n"));
  };
  CHECK(redirects("GET /"));
  CHECK(redirects("OPTIONS /x"));
  CHECK(redirects("GET http://a.example"));
  CHECK_FALSE(redirects("OPTIONS *"));
  CHECK_FALSE(redirects("CONNECT a.example:443"));
}

TEST_CASE("a redirect is whole, permanent and keeps the method") {
  const std::string answer =
      redirect_to_https(read_head("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
  CHECK(answer.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"));
  CHECK(answer.contains("\r\nContent-Length: 0\r\n"));
  CHECK(answer.contains("\r\nConnection: close\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("ACME's path is distinguished from others") {
  const auto acme = [](const std::string& target) {
    return is_acme_challenge(read_head("GET " + target + " HTTP/1.1\r\nHost: a.example\r\n\r\n"));
  };
  CHECK(acme("/.well-known/acme-challenge/token"));
  CHECK(acme("http://a.example/.well-known/acme-challenge/token"));
  CHECK(acme("/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"));
  CHECK(acme("/.well-known/acme-challenge/test.txt?x"));
  for (const char* other : {"../x", "./token", "..", ".", "a/../../x", "a/b", "/x", "", "?x",
                            "%2e%2e/x", "..%2fx", "..%5cx", "..\\x", "a%", "..;/x"}) {
    CAPTURE(other);
    CHECK_FALSE(acme(std::string("/.well-known/acme-challenge/") + other));
  }
  CHECK_FALSE(acme("/x/../.well-known/acme-challenge/token"));
  CHECK_FALSE(acme("/.well-known/acme-challenge"));
  CHECK_FALSE(acme("/x/.well-known/acme-challenge/token"));
}
