#pragma once

// The record layer under a ClientHello (RFC 8446 5.1, the same in all versions from SSL 3.0 on):
// records of content type handshake, each with 1..2^14 bytes, which may split the handshake message
// anywhere. The scan goes from record header to record header and remembers its position: a sender
// of single bytes costs one call per record, not per byte.
//
// Bytes after the hello (0-RTT data, further records) are not read.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "core/hello/first_flight.h"

namespace sni {

// Content types of records (RFC 8446 5.1).
inline constexpr std::uint8_t content_change_cipher_spec = 20;
inline constexpr std::uint8_t content_alert = 21;
inline constexpr std::uint8_t content_handshake = 22;
inline constexpr std::uint8_t content_application_data = 23;

// FlightScanner::scan() for TLS, for a hello of at most `hello_bytes` and limits::hello_records_max
// records. Returns 0 when the hello is complete, else the number of bytes to wait for. The first
// bytes decide between not_the_protocol and malformed: SSLv2, HTTP and the like fail at byte 0 or
// 1.
std::expected<std::size_t, FlightError> scan_hello_records(std::span<const std::uint8_t> bytes,
                                                           FlightProgress& progress,
                                                           std::size_t hello_bytes);

// The hello without its handshake header, once the scan has returned 0. It is a view into `bytes`
// if one record has all of it, else it is joined in `scratch`, which has room for at least
// progress.needed bytes.
std::span<const std::uint8_t> join_hello(std::span<const std::uint8_t> bytes,
                                         const FlightProgress& progress,
                                         std::span<std::uint8_t> scratch);

}  // namespace sni
