#include "core/hello/tls_record.h"

#include <algorithm>
#include <cassert>
#include <optional>

namespace sni {
namespace {

using limits::handshake_header;
using limits::record_header;

constexpr std::uint8_t version_major = 3;
constexpr std::uint8_t handshake_client_hello = 1;
constexpr std::size_t record_max = 16 * 1024;  // RFC 8446 5.1: 2^14 bytes of plaintext.

std::size_t record_length(std::span<const std::uint8_t> record) {
  return static_cast<std::size_t>(record[3]) << 8 | record[4];
}

// Types of records with which a client may not begin. An alert is left out: who sends one goes, and
// is not answered (RFC 8446 6.2).
bool may_not_be_first(std::uint8_t type) {
  return type == content_change_cipher_spec || type == content_application_data;
}

// Checks the available part of a record header. A peer whose first bytes are wrong does not speak
// TLS; an error later on is malformed TLS.
std::optional<FlightError> header_error(std::span<const std::uint8_t> record, bool first) {
  if (first && !record.empty() && may_not_be_first(record[0])) {
    if (record.size() < 2) return std::nullopt;
    return record[1] == version_major ? FlightError::unexpected_message
                                      : FlightError::not_the_protocol;
  }
  const auto wrong = [first](FlightError later) {
    return first ? FlightError::not_the_protocol : later;
  };
  if (!record.empty() && record[0] != content_handshake) {
    return wrong(FlightError::unexpected_message);
  }
  if (record.size() >= 2 && record[1] != version_major) return wrong(FlightError::malformed);
  if (record.size() < record_header) return std::nullopt;
  // RFC 8446 5.1: empty handshake fragments must not be sent. Each would also cost us a header
  // without any progress of the hello.
  const std::size_t length = record_length(record);
  if (length > record_max) return FlightError::record_overflow;
  return length == 0 ? std::optional(FlightError::malformed) : std::nullopt;
}

// Copies the part of the handshake header that is in `payload`; records may split the header too.
void collect_handshake_header(std::span<const std::uint8_t> payload, FlightProgress& progress) {
  for (std::size_t i = progress.joined; i < handshake_header; ++i) {
    if (i - progress.joined >= payload.size()) return;
    progress.handshake[i] = payload[i - progress.joined];
  }
}

}  // namespace

std::expected<std::size_t, FlightError> scan_hello_records(std::span<const std::uint8_t> bytes,
                                                           FlightProgress& progress,
                                                           std::size_t hello_bytes) {
  while (true) {
    const auto record = bytes.subspan(progress.position);
    if (const auto error = header_error(record, progress.position == 0)) {
      return std::unexpected(*error);
    }
    const std::size_t payload_begin = progress.position + record_header;
    if (record.size() < record_header) return payload_begin;

    const std::size_t length = record_length(record);
    const auto payload =
        record.subspan(record_header, std::min(length, record.size() - record_header));
    collect_handshake_header(payload, progress);
    const std::size_t seen = progress.joined + payload.size();
    if (seen > 0 && progress.handshake[0] != handshake_client_hello) {
      return std::unexpected(FlightError::unexpected_message);
    }
    if (seen >= handshake_header && progress.needed == 0) {
      const auto& header = progress.handshake;
      const std::size_t hello = static_cast<std::size_t>(header[1]) << 16 |
                                static_cast<std::size_t>(header[2]) << 8 | header[3];
      if (hello > hello_bytes) return std::unexpected(FlightError::oversized);
      progress.needed = handshake_header + hello;
    }

    // The end of the hello, or of the handshake header that has its length, if it is in this
    // record.
    const std::size_t target = progress.needed != 0 ? progress.needed : handshake_header;
    if (progress.joined + length >= target) {
      const std::size_t end = payload_begin + target - progress.joined;
      if (bytes.size() < end) return end;
      return 0;
    }
    // The hello continues in another record, so that record's header is needed too.
    if (payload.size() < length) return payload_begin + length + record_header;
    progress.joined += length;
    progress.position = payload_begin + length;
    if (++progress.records == limits::hello_records_max) {
      return std::unexpected(FlightError::oversized);
    }
  }
}

std::span<const std::uint8_t> join_hello(std::span<const std::uint8_t> bytes,
                                         const FlightProgress& progress,
                                         std::span<std::uint8_t> scratch) {
  const std::size_t needed = progress.needed;
  assert(needed >= handshake_header);
  if (record_length(bytes) >= needed) {
    return bytes.subspan(record_header + handshake_header, needed - handshake_header);
  }
  assert(scratch.size() >= needed);
  std::size_t joined = 0;
  while (joined < needed) {
    const std::size_t count = std::min(record_length(bytes), needed - joined);
    std::ranges::copy(bytes.subspan(record_header, count), scratch.subspan(joined).begin());
    joined += count;
    bytes = bytes.subspan(record_header + count);
  }
  return scratch.first(needed).subspan(handshake_header);
}

}  // namespace sni
