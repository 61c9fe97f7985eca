#include "core/metrics/http_request.h"

#include <doctest/doctest.h>

#include <string>

using namespace sni;
using Fault = HttpRequest::Fault;

TEST_CASE("a scraper's request is read with its path and whether it stays") {
  const std::string bytes =
      "GET /metrics?a=b HTTP/1.1\r\nHost: localhost:9443\r\nAccept-Encoding: gzip\r\n\r\nGET";
  const auto request = parse_http_request(bytes);
  REQUIRE(request);
  CHECK(request->fault == Fault::none);
  CHECK(request->path == "/metrics");
  CHECK(request->keep_alive);
  CHECK_FALSE(request->head);
  CHECK(request->length == bytes.size() - 3);
}

TEST_CASE("no prefix of a request is taken for one") {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(parse_http_request(std::string_view(bytes).substr(0, size)));
  }
  CHECK(parse_http_request(bytes));
}

TEST_CASE("a connection stays open only if both want it and there is no body") {
  const auto stays = [](const std::string& head) {
    return parse_http_request(head + "\n\n")->keep_alive;
  };
  CHECK(stays("HEAD / HTTP/1.1"));
  CHECK(stays("GET / HTTP/1.1\nConnection: keep-alive"));
  CHECK(stays("GET / HTTP/1.1\nContent-Length: 0"));
  CHECK_FALSE(stays("GET / HTTP/1.0"));
  CHECK_FALSE(stays("GET / HTTP/1.1\nCONNECTION:\tclose "));
  CHECK_FALSE(stays("GET / HTTP/1.1\nContent-Length: 5"));
  CHECK_FALSE(stays("GET / HTTP/1.1\nTransfer-Encoding: chunked"));
  CHECK_FALSE(stays("PUT / HTTP/1.1"));
}

TEST_CASE("other requests have their fault") {
  const auto fault = [](const std::string& line) {
    return parse_http_request(line + "\r\n\r\n")->fault;
  };
  CHECK(fault("GET") == Fault::malformed);
  CHECK(fault("GET  HTTP/1.1") == Fault::malformed);
  CHECK(fault("GET metrics HTTP/1.1") == Fault::malformed);
  CHECK(fault("\x16\x03\x01\xff") == Fault::malformed);
  CHECK(fault("DELETE / HTTP/1.1") == Fault::method);
  CHECK(fault("get / HTTP/1.1") == Fault::method);
  CHECK(fault("GET / HTTP/2") == Fault::version);
}

TEST_CASE("an answer has its length, and none of the body for HEAD") {
  CHECK(http_answer("200 OK", "text/plain", "abc", false, true) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
        "Cache-Control: no-store\r\n\r\nabc");
  CHECK(http_answer("200 OK", "text/plain", "abc", true, false) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
}
