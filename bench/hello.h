#pragma once

// The ClientHello that every client of the bench sends first: the offer of a TLS 1.3 client, with
// the size of one with an ML-KEM key share.

#include <cstddef>
#include <string_view>
#include <vector>

namespace sni::bench {

// One handshake record with the name as SNI. Names are at most 253 bytes.
std::vector<std::byte> client_hello(std::string_view name);

// Bytes of the record header; its last two are the length of what follows.
inline constexpr std::size_t tls_record_header = 5;

}  // namespace sni::bench
