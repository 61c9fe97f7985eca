#pragma once

// The parts of a ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2) that routing needs, read by
// length-prefixed sub-readers only. We route, we do not police TLS: refusing an unacceptable offer
// is the backend's business. But every structure must end where its length says. Anything that two
// parsers could read differently is malformed, since the backend must not see another name than we
// did.

#include <cstdint>
#include <expected>
#include <span>

#include "core/hello/first_flight.h"

namespace sni {

// `hello` is the whole message without its 4-byte handshake header. The result's views point into
// it. `strip_port`: as in FlightOptions. A name that is empty or not a host name is
// FlightError::bad_name; an error in the structure takes precedence.
std::expected<FirstFlight, FlightFault> parse_client_hello(std::span<const std::uint8_t> hello,
                                                           bool strip_port = false);

}  // namespace sni
