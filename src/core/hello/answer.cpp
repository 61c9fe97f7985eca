#include "core/hello/answer.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/hello/tls_record.h"

namespace sni {
namespace {

using Alert = std::array<std::uint8_t, 7>;

// A fatal alert in a record (RFC 8446 5.1 and 6). No version has been negotiated, so the record has
// the compatibility version of a ClientHello's record, TLS 1.0, which every client accepts.
consteval Alert fatal_alert(std::uint8_t description) {
  constexpr std::uint8_t level_fatal = 2;
  return {content_alert, 0x03, 0x01, 0, 2, level_fatal, description};
}

constexpr Alert unrecognized_name = fatal_alert(112);
constexpr Alert internal_error = fatal_alert(80);
constexpr Alert missing_extension = fatal_alert(109);
constexpr Alert decode_error = fatal_alert(50);
constexpr Alert record_overflow = fatal_alert(22);
constexpr Alert illegal_parameter = fatal_alert(47);
constexpr Alert unexpected_message = fatal_alert(10);

struct HttpAnswer {
  std::array<std::uint8_t, 192> bytes{};
  std::size_t size = 0;

  constexpr void append(std::string_view text) {
    for (const char c : text) bytes[size++] = static_cast<std::uint8_t>(c);
  }
  constexpr std::span<const std::uint8_t> view() const { return std::span(bytes).first(size); }
};

// The status is also the body. "no-store", because a 404 is otherwise cacheable (RFC 9110 15.1) and
// would persist after the route is added.
consteval HttpAnswer http_answer(std::string_view status, std::string_view fields = {}) {
  HttpAnswer answer;
  const std::size_t body_size = status.size() + 1;
  const std::array digits{static_cast<char>('0' + body_size / 10),
                          static_cast<char>('0' + body_size % 10)};
  answer.append("HTTP/1.1 ");
  answer.append(status);
  answer.append("\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nConnection: close\r\n");
  answer.append(fields);
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
constexpr HttpAnswer unavailable = http_answer("503 Service Unavailable");
constexpr HttpAnswer gateway_timeout = http_answer("504 Gateway Timeout");
constexpr HttpAnswer bad_request = http_answer("400 Bad Request");
constexpr HttpAnswer request_timeout = http_answer("408 Request Timeout");
// No method is allowed for such a target (RFC 9110 10.2.1).
constexpr HttpAnswer not_allowed = http_answer("405 Method Not Allowed", "Allow:\r\n");
constexpr HttpAnswer head_too_large = http_answer("431 Request Header Fields Too Large");
constexpr HttpAnswer version_not_supported = http_answer("505 HTTP Version Not Supported");

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
    case Answer::http_unavailable:
      return unavailable.view();
    case Answer::http_gateway_timeout:
      return gateway_timeout.view();
    case Answer::tls_missing_extension:
      return missing_extension;
    case Answer::tls_decode_error:
      return decode_error;
    case Answer::tls_record_overflow:
      return record_overflow;
    case Answer::tls_unexpected_message:
      return unexpected_message;
    case Answer::tls_illegal_parameter:
      return illegal_parameter;
    case Answer::http_bad_request:
      return bad_request.view();
    case Answer::http_request_timeout:
      return request_timeout.view();
    case Answer::http_not_allowed:
      return not_allowed.view();
    case Answer::http_head_too_large:
      return head_too_large.view();
    case Answer::http_version:
      return version_not_supported.view();
  }
  return {};
}

std::string_view head_of_answer(std::string_view answer) {
  constexpr std::string_view end = "\r\n\r\n";
  const std::size_t at = answer.find(end);
  return at == answer.npos ? answer : answer.substr(0, at + end.size());
}

std::optional<Answer> answer_to_fault(Protocol protocol, FlightError error) {
  const bool tls = protocol == Protocol::tls;
  switch (error) {
    case FlightError::not_the_protocol:
      return std::nullopt;
    case FlightError::malformed:
      return tls ? Answer::tls_decode_error : Answer::http_bad_request;
    case FlightError::oversized:
      return tls ? Answer::tls_decode_error : Answer::http_head_too_large;
    case FlightError::record_overflow:
      return Answer::tls_record_overflow;
    case FlightError::unexpected_message:
      return Answer::tls_unexpected_message;
    case FlightError::repeated_extension:
      return Answer::tls_illegal_parameter;
    case FlightError::bad_name:
      return Answer::tls_unrecognized_name;
    case FlightError::other_version:
      return Answer::http_version;
  }
  return std::nullopt;
}

Answer answer_without_route(Protocol protocol, bool named, std::uint16_t tls_version) {
  if (protocol == Protocol::http) return named ? Answer::http_misdirected : Answer::http_not_found;
  constexpr std::uint16_t tls_1_3 = 0x0304;
  return !named && tls_version == tls_1_3 ? Answer::tls_missing_extension
                                          : Answer::tls_unrecognized_name;
}

}  // namespace sni
