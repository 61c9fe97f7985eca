#pragma once

// The answer of a route with `redirect = "https"` on an http listener.

#include <string>

#include "core/hello/first_flight.h"

namespace sni {

// A 308 (RFC 9110 15.4.9), which keeps the method, to the same host and path at the default port.
// Empty: the flight names no host.
std::string redirect_to_https(const FirstFlight& flight);

// Whether an ACME server asks for a challenge over plain HTTP (RFC 8555 8.3).
bool is_acme_challenge(const FirstFlight& flight);

}  // namespace sni
