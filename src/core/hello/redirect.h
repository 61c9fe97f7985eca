#pragma once

// The answer of a route with `redirect = "https"` on an http listener.

#include <string>

#include "core/hello/first_flight.h"

namespace sni {

// Whether the target is a resource that is also at https. CONNECT asks for a tunnel and "OPTIONS *"
// about the server itself: a redirect would lead their clients to something else.
bool can_redirect(const FirstFlight& flight);

// A 308 (RFC 9110 15.4.9), which keeps the method, to the same host and path at the default port.
// Empty: the flight names no host. Only where can_redirect().
std::string redirect_to_https(const FirstFlight& flight);

// Whether an ACME server asks for a challenge over plain HTTP (RFC 8555 8.3). The path must be
// normal (RFC 3986 6.2.2): prefix and token, as ACME servers send it. One with dot segments, further
// slashes or escapes means another path to some backends, and is none.
bool is_acme_challenge(const FirstFlight& flight);

}  // namespace sni
