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
    std::pair{Answer::http_not_found, "404"}, std::pair{Answer::http_misdirected, "421"},
    std::pair{Answer::http_bad_gateway, "502"}, std::pair{Answer::http_gateway_timeout, "504"}};

}  // namespace

TEST_CASE("an alert is one record with a fatal description") {
  const std::array<std::uint8_t, 7> unrecognized_name{21, 3, 1, 0, 2, 2, 112};
  const std::array<std::uint8_t, 7> internal_error{21, 3, 1, 0, 2, 2, 80};
  CHECK(std::ranges::equal(answer_bytes(Answer::tls_unrecognized_name), unrecognized_name));
  CHECK(std::ranges::equal(answer_bytes(Answer::tls_internal_error), internal_error));
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
