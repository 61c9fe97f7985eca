// Access lists by example, and against the plain meaning of the lists: try each prefix in turn.

#include "core/access.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string_view>

using namespace sni;

namespace {

std::vector<IpPrefix> prefixes(std::initializer_list<std::string_view> texts) {
  std::vector<IpPrefix> list;
  for (const std::string_view text : texts) list.push_back(*parse_prefix(text));
  return list;
}

IpAddress ip(std::string_view text) {
  return *parse_ip(text);
}

// Addresses that lie close together, so that random prefixes meet them.
IpAddress random_address(std::mt19937& random) {
  const auto bits = static_cast<std::uint8_t>(random());
  const auto few = static_cast<std::uint8_t>(random() % 4);
  if (random() % 2 == 0) return IpAddress::v4(192, 0, few, bits);
  IpAddress address = ip("2001:db8::");
  address.bytes[7] = few;
  address.bytes[15] = bits;
  return address;
}

IpPrefix random_prefix(std::mt19937& random) {
  const IpAddress address = random_address(random);
  const unsigned shortest = address.is_v4() ? 96 : 0;
  const auto length = static_cast<std::uint8_t>(
      random() % 4 == 0 ? shortest + random() % (129 - shortest) : 118 + random() % 11);
  return {.base = address.masked(length), .length = length};
}

bool any_contains(const std::vector<IpPrefix>& list, const IpAddress& address) {
  return std::ranges::any_of(list,
                             [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

}  // namespace

TEST_CASE("an empty list serves everybody") {
  CHECK(AccessList{}.allows(ip("192.0.2.1")));
  CHECK(AccessList{}.allows(ip("2001:db8::1")));
  CHECK(AccessList{AccessConfig{}}.allows(ip("192.0.2.1")));
}

TEST_CASE("blocked sources are refused, those beside them served") {
  const AccessList list({.block = prefixes({"192.0.2.7", "198.51.100.0/24", "2001:db8::/32"})});
  CHECK_FALSE(list.allows(ip("192.0.2.7")));
  CHECK(list.allows(ip("192.0.2.6")));
  CHECK(list.allows(ip("192.0.2.8")));
  CHECK_FALSE(list.allows(ip("198.51.100.0")));
  CHECK_FALSE(list.allows(ip("198.51.100.255")));
  CHECK(list.allows(ip("198.51.99.255")));
  CHECK(list.allows(ip("198.51.101.0")));
  CHECK_FALSE(list.allows(ip("2001:db8::")));
  CHECK_FALSE(list.allows(ip("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")));
  CHECK(list.allows(ip("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff")));
  CHECK(list.allows(ip("2001:db9::")));
  CHECK_FALSE_MESSAGE(list.allows(ip("::ffff:192.0.2.7")), "v4-mapped is IPv4");
}

TEST_CASE("an allowed source is served though a block holds it") {
  const AccessList list(
      {.block = prefixes({"192.0.2.0/24", "192.0.2.9"}), .allow = prefixes({"192.0.2.8/30"})});
  CHECK(list.allows(ip("192.0.2.8")));
  CHECK_MESSAGE(list.allows(ip("192.0.2.9")), "even where the block is narrower");
  CHECK_FALSE(list.allows(ip("192.0.2.7")));
  CHECK_FALSE(list.allows(ip("192.0.2.12")));
}

TEST_CASE("by default \"deny\" only the allowlist is served") {
  const AccessList list({.allow = prefixes({"192.0.2.0/24"}), .default_allow = false});
  CHECK(list.allows(ip("192.0.2.1")));
  CHECK_FALSE(list.allows(ip("198.51.100.1")));
  CHECK_FALSE(list.allows(ip("2001:db8::1")));
}

TEST_CASE("blocking the whole of one family leaves the other alone") {
  const AccessList v4({.block = prefixes({"0.0.0.0/0"})});
  CHECK_FALSE(v4.allows(ip("0.0.0.0")));
  CHECK_FALSE(v4.allows(ip("255.255.255.255")));
  CHECK(v4.allows(ip("2001:db8::1")));
  const AccessList v6({.block = prefixes({"::/0"})});
  CHECK_FALSE(v6.allows(ip("::")));
  CHECK_FALSE(v6.allows(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
  CHECK(v6.allows(ip("192.0.2.1")));
}

TEST_CASE("a set holds exactly what one of its prefixes holds") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<IpPrefix> list(random() % 30);
    std::ranges::generate(list, [&] { return random_prefix(random); });
    const AddressSet set(list);
    CHECK(set.size() <= list.size());
    for (int i = 0; i < 500; ++i) {
      const IpAddress address = random_address(random);
      CAPTURE(address.to_string());
      REQUIRE(set.contains(address) == any_contains(list, address));
    }
  }
}

TEST_CASE("prefixes inside of others and duplicates take no room") {
  const AddressSet set(prefixes({"192.0.2.0/25", "192.0.2.0/24", "192.0.2.7", "192.0.2.0/24",
                                 "192.0.2.255", "2001:db8::/32", "2001:db8:1::/48"}));
  CHECK(set.size() == 2);
}

TEST_CASE("a million addresses and 100,000 prefixes are told apart from their neighbours") {
  std::vector<IpPrefix> list;
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    const std::uint32_t value = 2 * i;  // Every second address of 10.0.0.0/11.
    const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(value >> shift); };
    list.push_back({.base = IpAddress::v4(10, byte(16), byte(8), byte(0))});
  }
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    IpPrefix prefix{.base = ip("2001:db8::"), .length = 48};
    prefix.base.bytes[3] = static_cast<std::uint8_t>(i >> 16);
    prefix.base.bytes[4] = static_cast<std::uint8_t>(i >> 8);
    prefix.base.bytes[5] = static_cast<std::uint8_t>(i);
    list.push_back(prefix);
  }
  const AccessList access({.block = list});
  CHECK_FALSE(access.allows(ip("10.0.0.0")));
  CHECK(access.allows(ip("10.0.0.1")));
  CHECK_FALSE(access.allows(ip("10.30.132.126")));
  CHECK(access.allows(ip("10.30.132.127")));
  CHECK(access.allows(ip("10.30.132.128")));
  CHECK(access.allows(ip("10.255.0.0")));
  CHECK_FALSE(access.allows(ip("2001:d01:869f:ffff::1")));
  CHECK(access.allows(ip("2001:d01:86a0::1")));
}
