#pragma once

// What routing needs of a ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2), read by length-prefixed
// sub-readers only. We route, we do not police TLS: an offer that no server would accept is the
// backend's to refuse. But every structure must end where its length says, and whatever two parsers
// could read differently is malformed, since the backend must not see another name than we did.

#include <cstdint>
#include <expected>
#include <span>

#include "core/hello/first_flight.h"

namespace sni {

// `hello` is the whole message without its 4-byte handshake header. The result's views point into
// it. `strip_port`: as in FlightOptions. A name that is no host name, or empty, is FlightError::bad_name; where the
// structure is broken too, that comes first.
std::expected<FirstFlight, FlightFault> parse_client_hello(std::span<const std::uint8_t> hello,
                                                           bool strip_port = false);

}  // namespace sni
