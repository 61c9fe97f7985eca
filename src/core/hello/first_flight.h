#pragma once

// The first bytes of a connection, and what routing needs of them. One interface for both
// protocols: scan() is called with all bytes read so far and says how many there must be before it
// is worth calling again, so that a hello costs its length however it arrives. Nothing is allocated
// and nothing is consumed: all bytes go to the backend as they came.

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "core/limits.h"

namespace sni {

enum class Protocol : std::uint8_t { tls, http };

enum class FlightError : std::uint8_t {
  not_the_protocol,  // The first bytes are not TLS (or not HTTP/1.x).
  malformed,         // They begin so, but break the grammar.
  oversized,         // Longer than core/limits.h allows.
};

// What routing and the access line need. Views point into the bytes given to scan(), or into the
// caller's scratch.
struct FirstFlight {
  std::array<char, limits::server_name_max> name_bytes;
  std::uint8_t name_length = 0;  // 0: the client named nobody.
  std::span<const std::uint8_t>
      alpn_list;              // The extension's ProtocolNameList: u8 length, bytes, ...
  std::uint16_t version = 0;  // Highest TLS version offered, 0x0303, 0x0304; HTTP: 0.
  bool ech = false;           // encrypted_client_hello is there.

  std::string_view name() const {
    return {name_bytes.data(), name_length};
  }  // Lower case, no trailing dot.
};

// How far a scan has come. Bytes before `position` are never looked at again (HTTP: the two before
// it are), which is what makes the cost of a flight linear.
struct FlightProgress {
  std::size_t position =
      0;  // TLS: where the next record header begins. HTTP: the next byte to judge.
  std::size_t joined = 0;  // TLS: handshake bytes in the records before position.
  std::size_t needed = 0;  // TLS: handshake bytes of the whole hello; 0: not known yet.
  std::array<std::uint8_t, limits::handshake_header> handshake{};  // TLS: header bytes met so far.
  bool method_read = false;  // HTTP: the space after the method has been seen.
};

class FlightScanner {
 public:
  explicit FlightScanner(Protocol protocol) : protocol_(protocol) {}

  // `bytes` is everything read so far. Returns 0 when the flight is complete, else the total number
  // of bytes that must be there before the next call (always > bytes.size()).
  // It judges what frames the flight (records, the hello's length, lines) as soon as it shows, and
  // leaves the structures within to parse(), which looks at them once.
  std::expected<std::size_t, FlightError> scan(std::span<const std::uint8_t> bytes);

  // After scan() returned 0, with the same bytes. `scratch` (limits::hello_max + handshake_header
  // bytes) takes a hello that is spread over several TLS records.
  std::expected<FirstFlight, FlightError> parse(std::span<const std::uint8_t> bytes,
                                                std::span<std::uint8_t> scratch) const;

 private:
  Protocol protocol_;
  FlightProgress progress_;
};

}  // namespace sni
