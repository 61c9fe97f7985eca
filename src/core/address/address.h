#pragma once

// Internet addresses. An IpAddress is always 16 bytes in network order and IPv4 is stored v4-mapped
// (::ffff:a.b.c.d), so that one comparison, one prefix type and one hash serve both families, and a
// v4-mapped client of a dual-stack listener counts as the IPv4 client that it is.

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sni {

struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};  // Network order.

  static IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
  bool is_v4() const;
  // Keeps the first `length` bits (0..128) and clears the others.
  IpAddress masked(unsigned length) const;
  // "192.0.2.1" or "2001:db8::1" (RFC 5952), without brackets.
  std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;
};

// An address block. IPv4 lengths are kept in v4-mapped terms: 192.0.2.0/24 has length 120. An IPv6
// block never contains an IPv4 address: ::/0 means all of IPv6 and nothing else, as its writer
// intended.
struct IpPrefix {
  IpAddress base;             // Host bits are zero.
  std::uint8_t length = 128;  // Bits, 0..128.

  bool contains(const IpAddress& address) const;
  // In the family's own terms: "192.0.2.0/24", "2001:db8::/32"; a single address without a length.
  std::string to_string() const;
  auto operator<=>(const IpPrefix&) const = default;
};

// The name of the network interface with this index; empty: unknown. core makes no system calls, so
// without such a function (nullptr) text shows the index.
using InterfaceNames = std::string (*)(std::uint32_t index);

// Address and port. scope is the interface index of a link-local IPv6 address, else 0.
struct Endpoint {
  IpAddress ip;
  std::uint16_t port = 0;  // Host order.
  std::uint32_t scope = 0;

  // "192.0.2.1:443", "[2001:db8::1]:443", "[fe80::1%eth0]:443" or "[fe80::1%2]:443".
  std::string to_string(InterfaceNames names = nullptr) const;
  auto operator<=>(const Endpoint&) const = default;
};

// Looks up the index of a network interface by its name; nullopt: there is no such interface. An
// empty function cannot look up names, so only indices are understood.
using InterfaceLookup = std::function<std::optional<std::uint32_t>(std::string_view)>;

std::optional<IpAddress> parse_ip(std::string_view text);
// An address alone, link-local IPv6 with or without its interface: "fe80::1%eth0", "fe80::1%2".
// The port is 0.
std::optional<Endpoint> parse_scoped_ip(std::string_view text,
                                        const InterfaceLookup& interfaces = {});
// The part after the '%' in "fe80::1%eth0" or "[fe80::1%eth0]:443"; empty: there is none.
std::string_view interface_part(std::string_view text);
// "192.0.2.0/24", "2001:db8::/32" or a single address. Set host bits are an error (nullopt).
std::optional<IpPrefix> parse_prefix(std::string_view text);
// The same, but host bits are cleared: "192.0.2.1/24" is 192.0.2.0/24.
std::optional<IpPrefix> parse_enclosing_prefix(std::string_view text);
// "192.0.2.1:443", "[2001:db8::1]:443", "[fe80::1%3]:443", "[fe80::1%eth0]:443". The port is
// required.
std::optional<Endpoint> parse_endpoint(std::string_view text,
                                       const InterfaceLookup& interfaces = {});

// Writes a sockaddr_in for IPv4 and a sockaddr_in6 otherwise; returns its length.
socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out);
// nullopt: neither AF_INET nor AF_INET6. v4-mapped IPv6 comes out as IPv4 (see above).
std::optional<Endpoint> from_sockaddr(const sockaddr_storage& address);

// What an address is for. Dynamic routes refuse all but `global` unless a key allows them.
enum class AddressScope : std::uint8_t {
  global,
  loopback,
  link_local,
  private_use,
  unspecified,
  multicast,
  reserved
};
// Follows the IANA special-purpose registries (RFC 6890). An address that embeds IPv4 (mapped,
// NAT64 64:ff9b::/96, 6to4) has the scope of the embedded address.
AddressScope address_scope(const IpAddress& address);

}  // namespace sni

// Keyed, since clients and name servers choose addresses (core/address/address_hash.h).
template <>
struct std::hash<sni::IpAddress> {
  std::size_t operator()(const sni::IpAddress& address) const noexcept;
};
template <>
struct std::hash<sni::Endpoint> {
  std::size_t operator()(const sni::Endpoint& endpoint) const noexcept;
};
