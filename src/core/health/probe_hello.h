#pragma once

// The ClientHello of a health check: what a client of TLS 1.2 and 1.3 sends (RFC 8446 4.1.2), but
// without a key share, so that no key is generated. A server that would serve it answers with a
// ServerHello (1.2) or a HelloRetryRequest (1.3), and one that would not sends an alert.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sni {

using HelloRandom = std::array<std::uint8_t, 32>;

// In one record. `name`: a host name of at most limits::server_name_max bytes; empty: no SNI.
std::vector<std::uint8_t> probe_hello(std::string_view name, const HelloRandom& random);

// Why the first byte of an answer means a refusal, in words; empty: the handshake goes on.
std::string_view probe_refusal(std::uint8_t first_byte);

}  // namespace sni
