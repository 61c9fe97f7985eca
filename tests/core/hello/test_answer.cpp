#include "core/hello/answer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

using namespace sni;

namespace {

std::string text_of(Answer answer) {
  const auto bytes = answer_bytes(answer);
  return {bytes.begin(), bytes.end()};
}

constexpr std::array http_answers{
    std::pair{Answer::http_not_found, "404"},   std::pair{Answer::http_misdirected, "421"},
    std::pair{Answer::http_bad_gateway, "502"}, std::pair{Answer::http_gateway_timeout, "504"},
    std::pair{Answer::http_bad_request, "400"}, std::pair{Answer::http_head_too_large, "431"},
    std::pair{Answer::http_version, "505"},     std::pair{Answer::http_unavailable, "503"},
    std::pair{Answer::http_not_allowed, "405"}, std::pair{Answer::http_request_timeout, "408"}};

}  // namespace

TEST_CASE("an alert is one record with a fatal description") {
  const std::array<std::uint8_t, 7> unrecognized_name{21, 3, 1, 0, 2, 2, 112};
  const std::array<std::uint8_t, 7> internal_error{21, 3, 1, 0, 2, 2, 80};
  CHECK(std::ranges::equal(answer_bytes(Answer::tls_unrecognized_name), unrecognized_name));
  CHECK(std::ranges::equal(answer_bytes(Answer::tls_internal_error), internal_error));
}

TEST_CASE("a fault in a flight has its answer, and another protocol has none") {
  const auto description = [](FlightError error) {
    const auto answer = answer_to_fault(Protocol::tls, error);
    REQUIRE(answer.has_value());
    return static_cast<int>(answer_bytes(*answer).back());
  };
  CHECK(description(FlightError::malformed) == 50);
  CHECK(description(FlightError::oversized) == 50);
  CHECK(description(FlightError::record_overflow) == 22);
  CHECK(description(FlightError::unexpected_message) == 10);
  CHECK(description(FlightError::repeated_extension) == 47);
  CHECK(description(FlightError::bad_name) == 112);
  for (const Protocol protocol : {Protocol::tls, Protocol::http}) {
    CHECK_FALSE(answer_to_fault(protocol, FlightError::not_the_protocol).has_value());
  }
  CHECK(answer_to_fault(Protocol::http, FlightError::malformed) == Answer::http_bad_request);
  CHECK(answer_to_fault(Protocol::http, FlightError::oversized) == Answer::http_head_too_large);
  CHECK(answer_to_fault(Protocol::http, FlightError::other_version) == Answer::http_version);
}

TEST_CASE("a TLS 1.3 client without a name and a route lacks an extension") {
  CHECK(answer_without_route(Protocol::tls, false, 0x0304) == Answer::tls_missing_extension);
  CHECK(answer_without_route(Protocol::tls, false, 0x0303) == Answer::tls_unrecognized_name);
  CHECK(answer_without_route(Protocol::tls, true, 0x0304) == Answer::tls_unrecognized_name);
  CHECK(answer_without_route(Protocol::http, true, 0) == Answer::http_misdirected);
  CHECK(answer_without_route(Protocol::http, false, 0) == Answer::http_not_found);
}

TEST_CASE("an HTTP answer has its status, closes, and is as long as it says") {
  for (const auto& [answer, status] : http_answers) {
    const std::string text = text_of(answer);
    CAPTURE(text);
    CHECK(text.starts_with(std::string("HTTP/1.1 ") + status + " "));
    CHECK(text.contains("\r\nConnection: close\r\n"));
    const std::size_t body = text.find("\r\n\r\n") + 4;
    REQUIRE(body < text.size());
    const std::string length = "\r\nContent-Length: " + std::to_string(text.size() - body) + "\r\n";
    CHECK(text.contains(length));
    CHECK(text.ends_with('\n'));
  }
}

TEST_CASE("the answer to a HEAD has the length of the body, but no body") {
  for (const auto& [answer, status] : http_answers) {
    const std::string whole = text_of(answer);
    const std::string_view head = head_of_answer(whole);
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(whole.starts_with(head));
    CHECK(head.contains("\r\nContent-Length: " + std::to_string(whole.size() - head.size())));
  }
  CHECK(head_of_answer("no head") == "no head");
}

TEST_CASE("a 405 says which methods are allowed: none") {
  CHECK(text_of(Answer::http_not_allowed).contains("\r\nAllow:\r\n"));
}
