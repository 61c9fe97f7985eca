#include "core/proxy_protocol/proxy_reader.h"

#include <algorithm>
#include <array>

#include "core/decimal.h"
#include "core/limits.h"
#include "core/proxy_protocol/crc32c.h"
#include "core/proxy_protocol/proxy_wire.h"

namespace sni {
namespace {

namespace wire = proxy_wire;
using Bytes = std::span<const std::uint8_t>;
using ReadingResult = std::expected<ProxyReading, ProxyError>;

bool begins_v1(Bytes bytes) {
  const std::size_t length = std::min(bytes.size(), wire::v1_prefix.size());
  return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length),
                    wire::v1_prefix.begin(),
                    [](std::uint8_t byte, char c) { return byte == static_cast<std::uint8_t>(c); });
}

bool begins_v2(Bytes bytes) {
  const std::size_t length = std::min(bytes.size(), wire::v2_signature.size());
  return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length),
                    wire::v2_signature.begin());
}

// ---- Version 1 --------------------------------------------------------------------------------

// Takes the word before the next space, or the rest.
std::string_view take_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == line.npos ? line.size() : space + 1);
  return word;
}

std::optional<IpAddress> v1_address(std::string_view word, bool ipv4) {
  // A colon makes it IPv6, even if it is v4-mapped.
  if ((word.find(':') == word.npos) != ipv4) return std::nullopt;
  return parse_ip(word);
}

std::optional<std::uint16_t> v1_port(std::string_view word) {
  const auto port = parse_decimal(word, 0xffff);
  if (!port) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

std::optional<ProxyHeader::Ends> v1_ends(std::string_view rest, bool ipv4) {
  if (rest.ends_with(' ')) return std::nullopt;  // take_word() would miss it.
  const auto source = v1_address(take_word(rest), ipv4);
  const auto destination = v1_address(take_word(rest), ipv4);
  const auto source_port = v1_port(take_word(rest));
  const auto destination_port = v1_port(take_word(rest));
  if (!source || !destination || !source_port || !destination_port || !rest.empty()) {
    return std::nullopt;
  }
  return ProxyHeader::Ends{.source = {.ip = *source, .port = *source_port},
                           .destination = {.ip = *destination, .port = *destination_port}};
}

// `line` is without its CRLF.
std::optional<ProxyHeader> v1_header(std::string_view line) {
  ProxyHeader header{.size = line.size() + 2, .ends = std::nullopt};
  line.remove_prefix(wire::v1_prefix.size());
  const std::string_view family = take_word(line);
  // Everything after UNKNOWN must be ignored.
  if (family == "UNKNOWN") return header;
  if (family != "TCP4" && family != "TCP6") return std::nullopt;
  header.ends = v1_ends(line, family == "TCP4");
  if (!header.ends) return std::nullopt;
  return header;
}

ReadingResult read_v1(Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), wire::v1_bytes_max));
  const std::size_t end = text.find_first_of("\r\n");
  if (end == text.npos || end + 1 == text.size()) {
    if (text.size() == wire::v1_bytes_max) return std::unexpected(ProxyError::oversized);
    if (end != text.npos && text[end] == '\n') return std::unexpected(ProxyError::malformed);
    return ProxyReading{.needed = std::max(wire::v1_shortest.size(), text.size() + 1),
                        .header = {}};
  }
  if (text.substr(end, 2) != "\r\n") return std::unexpected(ProxyError::malformed);
  const auto header = v1_header(text.substr(0, end));
  if (!header) return std::unexpected(ProxyError::malformed);
  return ProxyReading{.needed = 0, .header = *header};
}

// ---- Version 2 --------------------------------------------------------------------------------

Endpoint v2_endpoint(Bytes address, Bytes port) {
  Endpoint endpoint;
  if (address.size() == 4) {
    endpoint.ip = IpAddress::v4(address[0], address[1], address[2], address[3]);
  } else {
    std::ranges::copy(address, endpoint.ip.bytes.begin());
  }
  endpoint.port = static_cast<std::uint16_t>(port[0] << 8 | port[1]);
  return endpoint;
}

ProxyHeader::Ends v2_ends(Bytes block, std::size_t address_bytes) {
  const Bytes ports = block.subspan(2 * address_bytes);
  return {
      .source = v2_endpoint(block.first(address_bytes), ports.first(2)),
      .destination = v2_endpoint(block.subspan(address_bytes, address_bytes), ports.subspan(2, 2))};
}

// Bytes of the addresses; nullopt: a family or a protocol that must not be sent.
std::optional<std::size_t> v2_address_bytes(std::uint8_t family) {
  static constexpr std::array<std::size_t, 4> sizes{
      0, wire::v2_address4_bytes, wire::v2_address6_bytes, wire::v2_address_unix_bytes};
  if ((family >> 4) >= sizes.size() || (family & 0xf) > 2) return std::nullopt;
  return sizes[family >> 4];
}

// Checks the checksum at `at`, whose own four bytes count as 0.
bool checksum_holds(Bytes header, std::size_t at) {
  static constexpr std::array<std::uint8_t, wire::crc32c_bytes> zero{};
  Crc32c sum;
  sum.add(header.first(at));
  sum.add(zero);
  sum.add(header.subspan(at + wire::crc32c_bytes));
  const Bytes told = header.subspan(at, wire::crc32c_bytes);
  const std::uint32_t value = std::uint32_t{told[0]} << 24 | std::uint32_t{told[1]} << 16 |
                              std::uint32_t{told[2]} << 8 | told[3];
  return sum.value() == value;
}

// Skips fields except the checksum; nullopt: they are valid.
std::optional<ProxyError> check_fields(Bytes header, std::size_t begin) {
  for (std::size_t at = begin; at < header.size();) {
    if (header.size() - at < wire::tlv_head_bytes) return ProxyError::malformed;
    const std::size_t length = std::size_t{header[at + 1]} << 8 | header[at + 2];
    const std::size_t value = at + wire::tlv_head_bytes;
    if (length > header.size() - value) return ProxyError::malformed;
    if (header[at] == static_cast<std::uint8_t>(wire::Tlv::crc32c)) {
      if (length != wire::crc32c_bytes) return ProxyError::malformed;
      if (!checksum_holds(header, value)) return ProxyError::checksum;
    }
    at = value + length;
  }
  return std::nullopt;
}

ReadingResult read_v2(Bytes bytes) {
  if (bytes.size() < wire::v2_fixed_bytes)
    return ProxyReading{.needed = wire::v2_fixed_bytes, .header = {}};
  const std::uint8_t command = bytes[12];
  const std::uint8_t family = bytes[13];
  const std::size_t size = wire::v2_fixed_bytes + (std::size_t{bytes[14]} << 8 | bytes[15]);
  if (command != wire::v2_local && command != wire::v2_proxy)
    return std::unexpected(ProxyError::malformed);
  if (size > limits::proxy_header_bytes) return std::unexpected(ProxyError::oversized);
  // For LOCAL only the length counts, not even the family.
  const auto address_bytes = command == wire::v2_local ? 0 : v2_address_bytes(family);
  if (!address_bytes || size - wire::v2_fixed_bytes < *address_bytes) {
    return std::unexpected(ProxyError::malformed);
  }
  if (bytes.size() < size) return ProxyReading{.needed = size, .header = {}};
  const Bytes whole = bytes.first(size);
  ProxyReading reading{.needed = 0, .header = {.size = size, .ends = std::nullopt}};
  if (command == wire::v2_local) return reading;
  if (const auto wrong = check_fields(whole, wire::v2_fixed_bytes + *address_bytes)) {
    return std::unexpected(*wrong);
  }
  if (family == wire::v2_tcp4)
    reading.header.ends = v2_ends(whole.subspan(wire::v2_fixed_bytes), 4);
  if (family == wire::v2_tcp6)
    reading.header.ends = v2_ends(whole.subspan(wire::v2_fixed_bytes), 16);
  return reading;
}

}  // namespace

std::string_view to_string(ProxyError error) {
  switch (error) {
    case ProxyError::missing:
      return "no PROXY header came first";
    case ProxyError::malformed:
      return "the PROXY header is malformed";
    case ProxyError::oversized:
      return "the PROXY header is too long";
    case ProxyError::checksum:
      return "the checksum of the PROXY header is wrong";
  }
  return {};
}

bool begins_proxy_header(Bytes bytes) {
  return begins_v1(bytes) || begins_v2(bytes);
}

std::expected<ProxyReading, ProxyError> read_proxy_header(Bytes bytes) {
  if (bytes.empty()) return ProxyReading{.needed = 1, .header = {}};
  if (begins_v1(bytes)) return read_v1(bytes);
  if (begins_v2(bytes)) return read_v2(bytes);
  return std::unexpected(ProxyError::missing);
}

}  // namespace sni
