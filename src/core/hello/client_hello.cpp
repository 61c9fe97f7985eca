#include "core/hello/client_hello.h"

#include <algorithm>
#include <bitset>
#include <optional>
#include <string_view>

#include "core/hello/byte_reader.h"
#include "core/hello/server_name.h"

namespace sni {
namespace {

constexpr std::size_t random_size = 32;
constexpr std::size_t session_id_max = 32;

// IANA "TLS ExtensionType Values".
enum ExtensionType : std::uint16_t {
  server_name = 0,
  application_layer_protocol_negotiation = 16,
  supported_versions = 43,
  encrypted_client_hello = 0xfe0d,
};

struct HelloReading {
  FirstFlight flight;
  bool strip_port = false;
  bool bad_name = false;
  bool repeated = false;
};

// RFC 6066 3: a list of {u8 type, u16-prefixed name}. Only host_name (0) is defined; other types
// are skipped. A second host_name in a list is forbidden, but servers are known to take the first,
// and so do we.
//
// An empty extension, list or name is never legal in a ClientHello, but old stacks send it, so it
// has an error of its own.
bool read_server_name(ByteReader extension, HelloReading& reading) {
  constexpr std::uint8_t host_name = 0;
  ByteReader names;
  if (extension.empty()) return reading.bad_name = true;
  if (!extension.prefixed_u16(names) || !extension.empty()) return false;
  if (names.empty()) return reading.bad_name = true;
  bool first = true;
  while (!names.empty()) {
    std::uint8_t type = 0;
    ByteReader name;
    if (!names.u8(type) || !names.prefixed_u16(name)) return false;
    if (name.empty()) reading.bad_name = true;
    if (type != host_name || !first) continue;
    first = false;
    FirstFlight& flight = reading.flight;
    flight.raw_name = {reinterpret_cast<const char*>(name.rest().data()), name.size()};
    const auto length = canonical_server_name(
        reading.strip_port ? without_port(flight.raw_name) : flight.raw_name, flight.name_bytes);
    if (!length) reading.bad_name = true;
    flight.name_length = length.value_or(0);
  }
  return true;
}

// RFC 7301 3.1: a list of u8-prefixed names, none of which is empty.
bool read_alpn(ByteReader extension, FirstFlight& flight) {
  ByteReader protocols;
  if (!extension.prefixed_u16(protocols) || !extension.empty() || protocols.empty()) return false;
  flight.alpn_list = protocols.rest();
  while (!protocols.empty()) {
    ByteReader protocol;
    if (!protocols.prefixed_u8(protocol) || protocol.empty()) return false;
  }
  return true;
}

// RFC 8446 4.2.1. Only 0x03xx are versions: GREASE (RFC 8701) and the drafts of TLS 1.3 are larger
// numbers, but not higher versions. If nothing else is offered, legacy_version stands.
bool read_supported_versions(ByteReader extension, FirstFlight& flight) {
  ByteReader versions;
  if (!extension.prefixed_u8(versions) || !extension.empty() || versions.empty()) return false;
  std::uint16_t highest = 0;
  while (!versions.empty()) {
    std::uint16_t version = 0;
    if (!versions.u16(version)) return false;
    if (version >> 8 == 3) highest = std::max(highest, version);
  }
  if (highest != 0) flight.version = highest;
  return true;
}

bool read_extension(std::uint16_t type, ByteReader content, HelloReading& reading) {
  FirstFlight& flight = reading.flight;
  switch (type) {
    case server_name:
      return read_server_name(content, reading);
    case application_layer_protocol_negotiation:
      return read_alpn(content, flight);
    case supported_versions:
      return read_supported_versions(content, flight);
    case encrypted_client_hello:
      flight.ech = true;
      return true;
    default:
      return true;
  }
}

// RFC 8446 4.2: no type twice. One bit per possible type (8 KiB of stack) keeps the check linear in
// the number of extensions, of which a hostile hello can have 4,096.
bool read_extensions(ByteReader extensions, HelloReading& reading) {
  std::bitset<1 << 16> seen;
  while (!extensions.empty()) {
    std::uint16_t type = 0;
    ByteReader content;
    if (!extensions.u16(type) || !extensions.prefixed_u16(content)) return false;
    reading.repeated |= seen[type];
    seen[type] = true;
    if (!read_extension(type, content, reading)) return false;
  }
  return true;
}

bool read_hello(ByteReader hello, HelloReading& reading) {
  ByteReader session_id;
  ByteReader cipher_suites;
  ByteReader compressions;
  if (!hello.u16(reading.flight.version) || !hello.skip(random_size)) return false;
  if (!hello.prefixed_u8(session_id) || session_id.size() > session_id_max) return false;
  if (!hello.prefixed_u16(cipher_suites)) return false;
  if (cipher_suites.empty() || cipher_suites.size() % 2 != 0) return false;
  if (!hello.prefixed_u8(compressions) || compressions.empty()) return false;
  if (hello.empty()) return true;  // Before TLS 1.2 extensions were an extension themselves.
  ByteReader extensions;
  return hello.prefixed_u16(extensions) && hello.empty() && read_extensions(extensions, reading);
}

}  // namespace

std::expected<FirstFlight, FlightFault> parse_client_hello(std::span<const std::uint8_t> hello,
                                                           bool strip_port) {
  HelloReading reading{.flight = {}, .strip_port = strip_port};
  if (!read_hello(ByteReader(hello), reading)) {
    return std::unexpected(FlightFault{.error = FlightError::malformed, .name = {}});
  }
  if (reading.repeated) {
    return std::unexpected(FlightFault{.error = FlightError::repeated_extension, .name = {}});
  }
  if (reading.bad_name) {
    return std::unexpected(
        FlightFault{.error = FlightError::bad_name, .name = reading.flight.raw_name});
  }
  return reading.flight;
}

}  // namespace sni
