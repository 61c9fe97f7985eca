#pragma once

// `redirect = "https"` on a route of an http listener: the answer that sends a client there.

#include <string>

#include "core/hello/first_flight.h"

namespace sni {

// 308 (RFC 9110 15.4.9), so that the method stays, to the same host and path at the default port.
// Empty: the flight names no host to send it to.
std::string redirect_to_https(const FirstFlight& flight);

// RFC 8555 8.3: what an ACME server asks for over plain HTTP.
bool is_acme_challenge(const FirstFlight& flight);

}  // namespace sni
