#pragma once

// The host of an HTTP/1.x request (RFC 9112). Only the head of the first request is read; the
// connection then belongs to the backend that this request selects.
//
// Where the grammar leaves room, we accept only what every backend reads in the same way, because a
// difference allows request smuggling. Lines end with CRLF: a bare LF, which RFC 9112 2.2 lets a
// server accept, is malformed, and so is a bare CR. Control characters, folded lines and spaces
// before the colon are malformed too. There must be exactly one Host field. One empty line before
// the request is skipped, as RFC 9112 2.2 asks: no backend can read it in another way. Several are
// malformed, since backends differ in how many they skip. So is HTTP/0.9, a request line without a
// version, as soon as the line ends: its client sends nothing more.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "core/hello/first_flight.h"

namespace sni {

// FlightScanner::scan() for HTTP. Returns 0 when the empty line that ends the head is there, else
// one byte more than there is, since any byte may end the head or break it. Each byte is checked
// once. At the end progress.position is the length of the head.
std::expected<std::size_t, FlightError> scan_http_head(std::span<const std::uint8_t> bytes,
                                                       FlightProgress& progress);

// `head` is what scan_http_head() accepted, including its empty line. The host comes from the
// request target if that has one (RFC 9112 3.2.2: absolute-form takes precedence over Host, and so
// does CONNECT's authority-form, 3.3), else from Host. HTTP/1.0 may have none. A port is cut off;
// an address literal is not a name.
std::expected<FirstFlight, FlightFault> parse_http_head(std::span<const std::uint8_t> head);

// Whether the request that begins like this has the method HEAD, whose answers have no body. Also for
// heads that are malformed further on.
bool asks_for_head_alone(std::span<const std::uint8_t> bytes);

// Whether the request that begins like this may be sent a second time although the first may have
// been executed: its method is idempotent (RFC 9110 9.2.2).
bool may_be_repeated(std::span<const std::uint8_t> bytes);

}  // namespace sni
