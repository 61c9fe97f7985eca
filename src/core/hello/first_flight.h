#pragma once

// The first bytes of a connection, and what routing needs of them. One interface serves both
// protocols. scan() is called with all bytes read so far and returns how many there must be before
// the next call, so that the cost of a hello is linear however it arrives. Nothing is allocated and
// nothing is consumed: all bytes go to the backend as they came.

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "core/hello/server_name.h"
#include "core/limits.h"

namespace sni {

enum class Protocol : std::uint8_t { tls, http };

enum class FlightError : std::uint8_t {
  not_the_protocol,    // The first bytes are not TLS (or not HTTP).
  malformed,           // They begin like it, but break the grammar.
  oversized,           // Longer than limits.hello_bytes or core/limits.h allow.
  record_overflow,     // A TLS record of more than 2^14 bytes.
  unexpected_message,  // TLS, but not exactly one ClientHello.
  repeated_extension,  // A ClientHello with two extensions of a type.
  bad_name,            // A valid ClientHello whose name is not a host name.
  other_version,       // HTTP, but not HTTP/1.x: the preface of HTTP/2 above all.
};

// For the access line; empty where the end reason says it all.
std::string_view to_string(FlightError error);

// Why a complete flight cannot be used.
struct FlightFault {
  FlightError error = FlightError::malformed;
  // The name at fault, as the client sent it, a view as in FirstFlight; empty: something else is.
  std::string_view name;
};

struct FlightOptions {
  Protocol protocol = Protocol::tls;
  std::size_t hello_bytes = limits::hello_bytes_default;  // limits.hello_bytes.
  bool strip_port = false;  // "a.example:443" in SNI counts as "a.example".
};

// What routing and the access line need. Views point into the bytes given to scan(), or into the
// caller's scratch.
struct FirstFlight {
  std::array<char, limits::server_name_max> name_bytes;
  std::uint8_t name_length = 0;  // 0: the client sent no name.
  std::span<const std::uint8_t>
      alpn_list;              // The extension's ProtocolNameList: u8 length, bytes, ...
  std::uint16_t version = 0;  // Highest TLS version offered, 0x0303, 0x0304; HTTP: 0.
  bool ech = false;           // encrypted_client_hello is present, real or as GREASE.
  std::string_view raw_name;  // As the client sent it; HTTP: the host without its port.
  // HTTP: path and query, "/" where the request names none; only a query stands without a path.
  // Empty: the target is no resource of the host, as with CONNECT and "OPTIONS *".
  std::string_view target;

  std::string_view name() const {
    return {name_bytes.data(), name_length};
  }  // Lower case, no trailing dot.
};

// The progress of a scan. Bytes before `position` are never read again (HTTP: except the last two),
// so the cost of a flight is linear.
struct FlightProgress {
  std::size_t position =
      0;  // TLS: where the next record header begins. HTTP: the next byte to judge.
  std::size_t joined = 0;  // TLS: handshake bytes in the records before position.
  std::size_t needed = 0;  // TLS: handshake bytes of the whole hello; 0: unknown.
  std::array<std::uint8_t, limits::handshake_header> handshake{};  // TLS: header bytes met so far.
  std::uint32_t records = 0;                                       // TLS: records before position.
  bool method_read = false;  // HTTP: the space after the method has been seen.
  bool target_read = false;  // HTTP: so has the space after the target.
};

class FlightScanner {
 public:
  explicit FlightScanner(Protocol protocol) : options_{.protocol = protocol} {}
  explicit FlightScanner(const FlightOptions& options) : options_(options) {}

  // `bytes` is everything read so far. Returns 0 when the flight is complete, else the total number
  // of bytes that must be there before the next call (always > bytes.size()). It checks the framing
  // of the flight (records, the hello's length, lines) as soon as it arrives. parse() checks the
  // structures inside, once.
  std::expected<std::size_t, FlightError> scan(std::span<const std::uint8_t> bytes);

  // To be called after scan() has returned 0, with the same bytes. `scratch`
  // (limits::hello_bytes_max + handshake_header bytes) receives a hello that is spread over several
  // TLS records.
  std::expected<FirstFlight, FlightFault> parse(std::span<const std::uint8_t> bytes,
                                                std::span<std::uint8_t> scratch) const;

 private:
  FlightOptions options_;
  FlightProgress progress_;
};

}  // namespace sni
