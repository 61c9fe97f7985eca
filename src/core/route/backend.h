#pragma once

// Backends as routes write them: "10.0.0.5:8443", "[2001:db8::5]:8443", "app.internal:8443",
// "unix:/run/app.sock" and "{name}:443".

#include <string_view>

#include "core/config/config.h"
#include "core/error.h"

namespace sni {

// Errors say what is wrong, and repeat `text` where that helps.
Result<Backend> parse_backend(std::string_view text, const InterfaceLookup& interfaces = {});
// The address of a SOCKS5 server: like a backend, but without "{name}".
Result<Backend> parse_upstream(std::string_view text, const InterfaceLookup& interfaces = {});

}  // namespace sni
