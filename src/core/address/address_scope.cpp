// The scope of an address by the IANA special-purpose address registries (RFC 6890 and its
// updates). The first row that contains an address decides, so narrower blocks precede the blocks
// around them. An address that the IPv6 registry does not list is global inside 2000::/3 and
// reserved outside it, since IANA has allocated nothing else as global unicast.

#include <algorithm>
#include <span>

#include "core/address/address.h"

namespace sni {
namespace {

struct Block {
  IpPrefix prefix;
  AddressScope scope;
};

constexpr IpPrefix v4_block(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                            std::uint8_t length) {
  return {.base = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}},
          .length = static_cast<std::uint8_t>(96 + length)};
}

// By the first four groups, which suffice for all blocks except single addresses.
constexpr IpPrefix v6_block(std::array<std::uint16_t, 4> groups, std::uint8_t length,
                            std::uint8_t last = 0) {
  IpPrefix prefix{.base = {}, .length = length};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    prefix.base.bytes[2 * i] = static_cast<std::uint8_t>(groups[i] >> 8);
    prefix.base.bytes[2 * i + 1] = static_cast<std::uint8_t>(groups[i]);
  }
  prefix.base.bytes[15] = last;
  return prefix;
}

constexpr Block v4_blocks[] = {
    {v4_block(0, 0, 0, 0, 32), AddressScope::unspecified},
    {v4_block(0, 0, 0, 0, 8), AddressScope::reserved},
    {v4_block(10, 0, 0, 0, 8), AddressScope::private_use},
    {v4_block(100, 64, 0, 0, 10), AddressScope::private_use},  // Carrier-grade NAT, RFC 6598.
    {v4_block(127, 0, 0, 0, 8), AddressScope::loopback},
    {v4_block(169, 254, 0, 0, 16), AddressScope::link_local},
    {v4_block(172, 16, 0, 0, 12), AddressScope::private_use},
    {v4_block(192, 0, 0, 9, 32), AddressScope::global},   // Port Control Protocol anycast.
    {v4_block(192, 0, 0, 10, 32), AddressScope::global},  // TURN anycast.
    {v4_block(192, 0, 0, 0, 24), AddressScope::reserved},
    {v4_block(192, 0, 2, 0, 24), AddressScope::reserved},  // Documentation, as are the next two.
    {v4_block(198, 51, 100, 0, 24), AddressScope::reserved},
    {v4_block(203, 0, 113, 0, 24), AddressScope::reserved},
    {v4_block(192, 88, 99, 0, 24), AddressScope::reserved},  // 6to4 relays, deprecated by RFC 7526.
    {v4_block(192, 168, 0, 0, 16), AddressScope::private_use},
    {v4_block(198, 18, 0, 0, 15), AddressScope::reserved},  // Benchmarking.
    {v4_block(224, 0, 0, 0, 4), AddressScope::multicast},
    {v4_block(240, 0, 0, 0, 4), AddressScope::reserved},
};

constexpr Block v6_blocks[] = {
    {v6_block({}, 128), AddressScope::unspecified},
    {v6_block({}, 128, 1), AddressScope::loopback},
    {v6_block({0x2001, 1, 0, 0}, 128, 1), AddressScope::global},  // Anycast services of RFC 7723,
    {v6_block({0x2001, 1, 0, 0}, 128, 2), AddressScope::global},  // RFC 8155 and
    {v6_block({0x2001, 1, 0, 0}, 128, 3), AddressScope::global},  // RFC 9665.
    {v6_block({0x2001, 3, 0, 0}, 32), AddressScope::global},      // AMT.
    {v6_block({0x2001, 4, 0x112, 0}, 48), AddressScope::global},  // AS112.
    {v6_block({0x2001, 0x20, 0, 0}, 28), AddressScope::global},   // ORCHIDv2.
    {v6_block({0x2001, 0x30, 0, 0}, 28), AddressScope::global},   // Drone remote identification.
    {v6_block({0x2001, 0, 0, 0}, 23),
     AddressScope::reserved},  // IETF protocols, Teredo among them.
    {v6_block({0x2001, 0xdb8, 0, 0}, 32), AddressScope::reserved},
    {v6_block({0x3fff, 0, 0, 0}, 20), AddressScope::reserved},
    {v6_block({0x2000, 0, 0, 0}, 3), AddressScope::global},
    {v6_block({0xfc00, 0, 0, 0}, 7), AddressScope::private_use},
    {v6_block({0xfe80, 0, 0, 0}, 10), AddressScope::link_local},
    {v6_block({0xff00, 0, 0, 0}, 8), AddressScope::multicast},
};

AddressScope scope_in(std::span<const Block> blocks, const IpAddress& address,
                      AddressScope otherwise) {
  const auto found = std::ranges::find_if(
      blocks, [&](const Block& block) { return block.prefix.contains(address); });
  return found == blocks.end() ? otherwise : found->scope;
}

// The IPv4 address that finally receives packets to this one: NAT64 (RFC 6052) and 6to4 (RFC 3056).
std::optional<IpAddress> embedded_v4(const IpAddress& address) {
  static constexpr IpPrefix nat64 = v6_block({0x64, 0xff9b, 0, 0}, 96);
  static constexpr IpPrefix six_to_four = v6_block({0x2002, 0, 0, 0}, 16);
  const auto v4_at = [&](std::size_t i) {
    const auto& byte = address.bytes;
    return IpAddress::v4(byte[i], byte[i + 1], byte[i + 2], byte[i + 3]);
  };
  if (nat64.contains(address)) return v4_at(12);
  if (six_to_four.contains(address)) return v4_at(2);
  return std::nullopt;
}

}  // namespace

AddressScope address_scope(const IpAddress& address) {
  if (address.is_v4()) return scope_in(v4_blocks, address, AddressScope::global);
  if (const auto v4 = embedded_v4(address)) return address_scope(*v4);
  return scope_in(v6_blocks, address, AddressScope::reserved);
}

}  // namespace sni
