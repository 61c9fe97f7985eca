#include "core/hello/answer.h"

#include <array>
#include <cstddef>
#include <string_view>

namespace sni {
namespace {

using Alert = std::array<std::uint8_t, 7>;

// A fatal alert in a record (RFC 8446 5.1 and 6). No version has been negotiated, so the record has
// the number that a ClientHello's own record has for compatibility, TLS 1.0: every client takes it.
consteval Alert fatal_alert(std::uint8_t description) {
  constexpr std::uint8_t content_alert = 21;
  constexpr std::uint8_t level_fatal = 2;
  return {content_alert, 0x03, 0x01, 0, 2, level_fatal, description};
}

constexpr Alert unrecognized_name = fatal_alert(112);
constexpr Alert internal_error = fatal_alert(80);

struct HttpAnswer {
  std::array<std::uint8_t, 192> bytes{};
  std::size_t size = 0;

  constexpr void append(std::string_view text) {
    for (const char c : text) bytes[size++] = static_cast<std::uint8_t>(c);
  }
  constexpr std::span<const std::uint8_t> view() const { return std::span(bytes).first(size); }
};

// The status is the body too. "no-store", for a 404 is otherwise cacheable (RFC 9110 15.1) and
// would outlive the route's absence.
consteval HttpAnswer http_answer(std::string_view status) {
  HttpAnswer answer;
  const std::size_t body_size = status.size() + 1;
  const std::array digits{static_cast<char>('0' + body_size / 10),
                          static_cast<char>('0' + body_size % 10)};
  answer.append("HTTP/1.1 ");
  answer.append(status);
  answer.append("\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nConnection: close\r\n");
  answer.append("Content-Length: ");
  answer.append({digits.data(), digits.size()});
  answer.append("\r\n\r\n");
  answer.append(status);
  answer.append("\n");
  return answer;
}

constexpr HttpAnswer not_found = http_answer("404 Not Found");
constexpr HttpAnswer misdirected = http_answer("421 Misdirected Request");
constexpr HttpAnswer bad_gateway = http_answer("502 Bad Gateway");
constexpr HttpAnswer gateway_timeout = http_answer("504 Gateway Timeout");

}  // namespace

std::span<const std::uint8_t> answer_bytes(Answer answer) noexcept {
  switch (answer) {
    case Answer::tls_unrecognized_name:
      return unrecognized_name;
    case Answer::tls_internal_error:
      return internal_error;
    case Answer::http_not_found:
      return not_found.view();
    case Answer::http_misdirected:
      return misdirected.view();
    case Answer::http_bad_gateway:
      return bad_gateway.view();
    case Answer::http_gateway_timeout:
      return gateway_timeout.view();
  }
  return {};
}

}  // namespace sni
