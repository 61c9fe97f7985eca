#pragma once

// The host that an HTTP/1.x request is for (RFC 9112). Only the head of the first request is read;
// the connection then belongs to the backend that it chose.
//
// Where the grammar leaves room, the reading is the one on which no backend can differ, because a
// difference is request smuggling: lines end with CRLF and nothing else (a bare LF, which RFC
// 9112 2.2 lets a server accept, is malformed, as is a bare CR), there are no control characters,
// no folded lines, no space before the colon, and one Host field exactly. One empty line before the
// request is passed over, as RFC 9112 2.2 asks for: no backend can take it for anything else.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "core/hello/first_flight.h"

namespace sni {

// FlightScanner::scan() for HTTP: 0 when the empty line that ends the head is there, else the bytes
// that must be there: one more, for any byte may end the head or break it. Each byte is judged
// once. Then progress.position is the length of the head.
std::expected<std::size_t, FlightError> scan_http_head(std::span<const std::uint8_t> bytes,
                                                       FlightProgress& progress);

// `head` is what scan_http_head() accepted, up to and with its empty line. The host comes from the
// request target if that has one (RFC 9112 3.2.2: absolute-form wins over Host; so does CONNECT's
// authority-form, 3.3), else from Host. HTTP/1.0 may go without. A port is cut off; an address
// literal is no name.
std::expected<FirstFlight, FlightFault> parse_http_head(std::span<const std::uint8_t> head);

}  // namespace sni
