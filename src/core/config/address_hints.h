#pragma once

// What to write instead of an address that other programs accept and this one does not: ":443",
// "*:443", "::1:443", "https://10.0.0.1". A hint continues a sentence after the quoted text.

#include <string>
#include <string_view>

namespace sni {

// For an address to listen on, or for a backend; "" where the intent is not clear.
std::string listen_hint(std::string_view text);
std::string backend_hint(std::string_view text);
// For a route's name: ".example.com", "a.example:443", "https://a.example/".
std::string route_name_hint(std::string_view text);

}  // namespace sni
