#include "core/address/address.h"

// Parsing uses inet_pton, which accepts neither leading zeros nor the octal, hexadecimal and short
// forms of inet_aton. Printing follows RFC 5952; inet_ntop does not for ::/96, where it prints the
// last 32 bits as an IPv4 address.

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/decimal.h"

namespace sni {
namespace {

constexpr unsigned v4_bits_offset = 96;  // Where the IPv4 address begins in a v4-mapped one.
constexpr std::size_t v4_offset = v4_bits_offset / 8;

// inet_pton needs a terminator, and `text` may contain a NUL that would hide what follows it.
bool parse_into(int family, std::string_view text, void* out) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() >= buffer.size() || text.find('\0') != text.npos) return false;
  std::copy(text.begin(), text.end(), buffer.begin());
  return inet_pton(family, buffer.data(), out) == 1;
}

std::optional<IpAddress> parse_v4(std::string_view text) {
  IpAddress address = IpAddress::v4(0, 0, 0, 0);
  if (!parse_into(AF_INET, text, &address.bytes[v4_offset])) return std::nullopt;
  return address;
}

std::optional<IpAddress> parse_v6(std::string_view text) {
  IpAddress address;
  if (!parse_into(AF_INET6, text, address.bytes.data())) return std::nullopt;
  return address;
}

// Every access line has two addresses; printf() would be a quarter of its cost.
std::string v4_to_string(const IpAddress& address) {
  std::array<char, INET_ADDRSTRLEN> buffer;
  char* end = buffer.data();
  for (std::size_t i = v4_offset; i < address.bytes.size(); ++i) {
    if (i != v4_offset) *end++ = '.';
    end = std::to_chars(end, buffer.end(), address.bytes[i]).ptr;
  }
  return {buffer.data(), end};
}

struct ZeroRun {
  std::size_t begin = 0;
  std::size_t length = 0;
};

// RFC 5952, 4.2: "::" replaces the longest run of zero groups, the first of equally long ones, and
// never a single group.
ZeroRun longest_zero_run(const std::array<unsigned, 8>& groups) {
  ZeroRun longest;
  ZeroRun run;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] != 0) {
      run = ZeroRun{.begin = i + 1};
    } else if (++run.length > longest.length) {
      longest = run;
    }
  }
  return longest.length >= 2 ? longest : ZeroRun{};
}

std::string v6_to_string(const IpAddress& address) {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = unsigned{address.bytes[2 * i]} << 8 | address.bytes[2 * i + 1];
  }
  const ZeroRun zeros = longest_zero_run(groups);
  std::string text;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (zeros.length != 0 && i == zeros.begin) {
      text += "::";
      i += zeros.length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::array<char, 4> group;
    text.append(group.data(), std::to_chars(group.begin(), group.end(), groups[i], 16).ptr);
  }
  return text;
}

// The interface behind the '%' of a link-local address (RFC 4007, 11), by its index or its name.
std::optional<std::uint32_t> parse_scope(std::string_view text, const IpAddress& address,
                                         const InterfaceLookup& interfaces) {
  if (address_scope(address) != AddressScope::link_local || address.is_v4()) return std::nullopt;
  if (const auto index = parse_decimal(text, 0x7fff'ffff)) {
    if (*index == 0) return std::nullopt;
    return static_cast<std::uint32_t>(*index);
  }
  return interfaces ? interfaces(text) : std::nullopt;
}

std::optional<Endpoint> parse_scoped_v6(std::string_view text, const InterfaceLookup& interfaces) {
  const std::size_t percent = text.find('%');
  const auto ip = parse_v6(text.substr(0, percent));
  if (!ip) return std::nullopt;
  Endpoint endpoint{.ip = *ip};
  if (percent != text.npos) {
    const auto scope = parse_scope(text.substr(percent + 1), *ip, interfaces);
    if (!scope) return std::nullopt;
    endpoint.scope = *scope;
  }
  return endpoint;
}

}  // namespace

IpAddress IpAddress::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return IpAddress{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
}

bool IpAddress::is_v4() const {
  static constexpr std::array<std::uint8_t, v4_offset> mapped{0, 0, 0, 0, 0,    0,
                                                              0, 0, 0, 0, 0xff, 0xff};
  return std::equal(mapped.begin(), mapped.end(), bytes.begin());
}

IpAddress IpAddress::masked(unsigned length) const {
  IpAddress result;
  const std::size_t whole = std::min<std::size_t>(length / 8, bytes.size());
  std::copy_n(bytes.begin(), whole, result.bytes.begin());
  if (whole < bytes.size()) {
    const auto kept = static_cast<std::uint8_t>(0xff00u >> (length % 8));
    result.bytes[whole] = bytes[whole] & kept;
  }
  return result;
}

std::string IpAddress::to_string() const {
  return is_v4() ? v4_to_string(*this) : v6_to_string(*this);
}

bool IpPrefix::contains(const IpAddress& address) const {
  if (length < v4_bits_offset && address.is_v4()) return false;
  return address.masked(length) == base;
}

std::string IpPrefix::to_string() const {
  std::string text = base.to_string();
  if (length == 128) return text;
  const bool v4 = length >= v4_bits_offset && base.is_v4();
  return text + '/' + std::to_string(v4 ? length - v4_bits_offset : length);
}

std::string Endpoint::to_string(InterfaceNames names) const {
  std::string text = ip.to_string();
  if (scope != 0) {
    const std::string name = names != nullptr ? names(scope) : std::string();
    text += '%' + (name.empty() ? std::to_string(scope) : name);
  }
  if (!ip.is_v4()) text = '[' + text + ']';
  return text + ':' + std::to_string(port);
}

std::optional<IpAddress> parse_ip(std::string_view text) {
  return text.find(':') == text.npos ? parse_v4(text) : parse_v6(text);
}

std::optional<IpPrefix> parse_prefix(std::string_view text) {
  const auto prefix = parse_enclosing_prefix(text);
  if (!prefix || parse_ip(text.substr(0, text.find('/'))) != prefix->base) return std::nullopt;
  return prefix;
}

std::optional<IpPrefix> parse_enclosing_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto base = parse_ip(text.substr(0, slash));
  if (!base) return std::nullopt;
  if (slash == text.npos) return IpPrefix{.base = *base};
  // The length counts in the family of the text: ::ffff:192.0.2.0/120 is 192.0.2.0/24.
  const unsigned offset = text.find(':') == text.npos ? v4_bits_offset : 0;
  const auto length = parse_decimal(text.substr(slash + 1), 128 - offset);
  if (!length) return std::nullopt;
  const auto bits = static_cast<std::uint8_t>(*length + offset);
  return IpPrefix{.base = base->masked(bits), .length = bits};
}

std::optional<Endpoint> parse_scoped_ip(std::string_view text, const InterfaceLookup& interfaces) {
  if (text.find(':') != text.npos) return parse_scoped_v6(text, interfaces);
  const auto ip = parse_v4(text);
  return ip ? std::optional(Endpoint{.ip = *ip}) : std::nullopt;
}

std::string_view interface_part(std::string_view text) {
  const std::size_t percent = text.find('%');
  if (percent == text.npos) return {};
  const std::string_view rest = text.substr(percent + 1);
  return rest.substr(0, rest.find(']'));
}

std::optional<Endpoint> parse_endpoint(std::string_view text, const InterfaceLookup& interfaces) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = parse_decimal(text.substr(colon + 1), 0xffff);
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool v6 = host.starts_with('[');
  if (v6 && !host.ends_with(']')) return std::nullopt;
  if (v6) host = host.substr(1, host.size() - 2);
  // IPv6 needs brackets, and only IPv6 has them.
  if (v6 != (host.find(':') != host.npos)) return std::nullopt;
  auto endpoint = parse_scoped_ip(host, interfaces);
  if (endpoint) endpoint->port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out) {
  out = {};
  if (endpoint.ip.is_v4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    std::memcpy(&address.sin_addr, &endpoint.ip.bytes[v4_offset], sizeof address.sin_addr);
    std::memcpy(&out, &address, sizeof address);
    return sizeof address;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  address.sin6_scope_id = endpoint.scope;
  std::memcpy(&address.sin6_addr, endpoint.ip.bytes.data(), sizeof address.sin6_addr);
  std::memcpy(&out, &address, sizeof address);
  return sizeof address;
}

std::optional<Endpoint> from_sockaddr(const sockaddr_storage& address) {
  Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    endpoint.ip = IpAddress::v4(0, 0, 0, 0);
    std::memcpy(&endpoint.ip.bytes[v4_offset], &v4.sin_addr, sizeof v4.sin_addr);
    endpoint.port = ntohs(v4.sin_port);
    return endpoint;
  }
  if (address.ss_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  std::memcpy(endpoint.ip.bytes.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
  endpoint.port = ntohs(v6.sin6_port);
  // The kernel sets the scope only for link-local addresses.
  endpoint.scope = v6.sin6_scope_id;
  return endpoint;
}

}  // namespace sni
