#pragma once

// Answers to clients that we cannot serve: complete bytes, ready to send, in static storage.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/hello/first_flight.h"

namespace sni {

enum class Answer : std::uint8_t {
  tls_unrecognized_name,  // No route takes this name (RFC 6066 3).
  tls_internal_error,     // There is a route, but its backend cannot be reached.
  // RFC 8446 6.2 and 9.2.
  tls_missing_extension,  // A TLS 1.3 hello without a name, and no route for such clients.
  tls_decode_error,
  tls_record_overflow,
  tls_unexpected_message,
  tls_illegal_parameter,
  http_not_found,        // No route, and the client sent no host.
  http_misdirected,      // No route takes this host (RFC 9110 15.5.20).
  http_bad_gateway,      // The backend cannot be reached.
  http_unavailable,      // The backend is at its limit of connections.
  http_gateway_timeout,  // The backend did not answer the connect in time.
  http_bad_request,      // The head breaks the grammar.
  http_request_timeout,  // Its head did not come in time (RFC 9110 15.5.9).
  http_not_allowed,      // Its target cannot be redirected (RFC 9110 15.5.6).
  http_head_too_large,   // RFC 6585 5.
  http_version,          // HTTP/2 without TLS, and other versions (RFC 9110 15.6.6).
};

// The answer to an invalid flight; nullopt: the client speaks another protocol and gets a close.
std::optional<Answer> answer_to_fault(Protocol protocol, FlightError error);
// The answer to a flight that no route takes or that a route refuses; `named`: it had a name.
Answer answer_without_route(Protocol protocol, bool named, std::uint16_t tls_version);

std::span<const std::uint8_t> answer_bytes(Answer answer) noexcept;
// The head of an HTTP answer, for the method HEAD: it has the length that the body would have
// (RFC 9110 9.3.2), but no body.
std::string_view head_of_answer(std::string_view answer);

}  // namespace sni
