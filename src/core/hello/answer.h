#pragma once

// What a client gets that we cannot serve: the whole bytes, ready to send, in static storage.

#include <cstdint>
#include <span>

namespace sni {

enum class Answer : std::uint8_t {
  tls_unrecognized_name,  // No route takes this name (RFC 6066 3).
  tls_internal_error,     // There is a route, but its backend cannot be reached.
  http_not_found,         // No route, and the client named nobody.
  http_misdirected,       // No route takes this host (RFC 9110 15.5.20).
  http_bad_gateway,       // The backend cannot be reached.
  http_gateway_timeout,   // The backend did not answer the connect in time.
};

std::span<const std::uint8_t> answer_bytes(Answer answer) noexcept;

}  // namespace sni
