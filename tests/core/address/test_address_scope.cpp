// Scopes at the first and last address of each registered block, and just outside of it.

#include <doctest/doctest.h>

#include "core/address/address.h"

using namespace sni;

namespace {

struct Example {
  const char* address;
  AddressScope scope;
};

void check_scopes(std::initializer_list<Example> examples) {
  for (const Example& example : examples) {
    CAPTURE(example.address);
    const auto address = parse_ip(example.address);
    REQUIRE(address.has_value());
    CHECK(static_cast<int>(address_scope(*address)) == static_cast<int>(example.scope));
  }
}

}  // namespace

TEST_CASE("IPv4 addresses have the scope of their registry entry") {
  check_scopes({
      {"0.0.0.0", AddressScope::unspecified},
      {"0.0.0.1", AddressScope::reserved},
      {"0.255.255.255", AddressScope::reserved},
      {"1.0.0.0", AddressScope::global},
      {"9.255.255.255", AddressScope::global},
      {"10.0.0.0", AddressScope::private_use},
      {"10.255.255.255", AddressScope::private_use},
      {"11.0.0.0", AddressScope::global},
      {"100.63.255.255", AddressScope::global},
      {"100.64.0.0", AddressScope::private_use},
      {"100.127.255.255", AddressScope::private_use},
      {"100.128.0.0", AddressScope::global},
      {"126.255.255.255", AddressScope::global},
      {"127.0.0.1", AddressScope::loopback},
      {"127.255.255.255", AddressScope::loopback},
      {"128.0.0.0", AddressScope::global},
      {"169.253.255.255", AddressScope::global},
      {"169.254.169.254", AddressScope::link_local},
      {"169.255.0.0", AddressScope::global},
      {"172.15.255.255", AddressScope::global},
      {"172.16.0.0", AddressScope::private_use},
      {"172.31.255.255", AddressScope::private_use},
      {"172.32.0.0", AddressScope::global},
      {"192.0.0.8", AddressScope::reserved},
      {"192.0.0.9", AddressScope::global},
      {"192.0.0.10", AddressScope::global},
      {"192.0.0.11", AddressScope::reserved},
      {"192.0.1.0", AddressScope::global},
      {"192.0.2.1", AddressScope::reserved},
      {"192.88.99.1", AddressScope::reserved},
      {"192.167.255.255", AddressScope::global},
      {"192.168.0.0", AddressScope::private_use},
      {"192.168.255.255", AddressScope::private_use},
      {"192.169.0.0", AddressScope::global},
      {"198.17.255.255", AddressScope::global},
      {"198.18.0.0", AddressScope::reserved},
      {"198.19.255.255", AddressScope::reserved},
      {"198.20.0.0", AddressScope::global},
      {"198.51.100.7", AddressScope::reserved},
      {"203.0.113.7", AddressScope::reserved},
      {"223.255.255.255", AddressScope::global},
      {"224.0.0.0", AddressScope::multicast},
      {"239.255.255.255", AddressScope::multicast},
      {"240.0.0.0", AddressScope::reserved},
      {"255.255.255.255", AddressScope::reserved},
  });
}

TEST_CASE("IPv6 addresses have the scope of their registry entry") {
  check_scopes({
      {"::", AddressScope::unspecified},
      {"::1", AddressScope::loopback},
      {"::2", AddressScope::reserved},
      {"::7f00:1", AddressScope::reserved},
      {"100::1", AddressScope::reserved},
      {"1fff:ffff::", AddressScope::reserved},
      {"2000::", AddressScope::global},
      {"2001::1", AddressScope::reserved},
      {"2001:1::1", AddressScope::global},
      {"2001:1::2", AddressScope::global},
      {"2001:1::3", AddressScope::global},
      {"2001:1::4", AddressScope::reserved},
      {"2001:2::1", AddressScope::reserved},
      {"2001:3::1", AddressScope::global},
      {"2001:4:112::1", AddressScope::global},
      {"2001:4:113::1", AddressScope::reserved},
      {"2001:20::1", AddressScope::global},
      {"2001:2f:ffff::1", AddressScope::global},
      {"2001:3f::1", AddressScope::global},
      {"2001:40::1", AddressScope::reserved},
      {"2001:1ff:ffff::", AddressScope::reserved},
      {"2001:200::", AddressScope::global},
      {"2001:db7:ffff::", AddressScope::global},
      {"2001:db8::1", AddressScope::reserved},
      {"2001:db9::", AddressScope::global},
      {"2620:4f:8000::1", AddressScope::global},
      {"3fff::1", AddressScope::reserved},
      {"3fff:1000::", AddressScope::global},
      {"4000::", AddressScope::reserved},
      {"5f00::1", AddressScope::reserved},
      {"fbff::", AddressScope::reserved},
      {"fc00::", AddressScope::private_use},
      {"fdff:ffff::1", AddressScope::private_use},
      {"fe7f::", AddressScope::reserved},
      {"fe80::1", AddressScope::link_local},
      {"febf::1", AddressScope::link_local},
      {"fec0::1", AddressScope::reserved},
      {"ff00::", AddressScope::multicast},
      {"ff02::1", AddressScope::multicast},
  });
}

TEST_CASE("an address that embeds IPv4 has the scope of the embedded address") {
  check_scopes({
      {"::ffff:127.0.0.1", AddressScope::loopback},
      {"::ffff:10.0.0.1", AddressScope::private_use},
      {"::ffff:8.8.8.8", AddressScope::global},
      {"64:ff9b::127.0.0.1", AddressScope::loopback},
      {"64:ff9b::192.168.1.1", AddressScope::private_use},
      {"64:ff9b::8.8.8.8", AddressScope::global},
      {"64:ff9b::1:0:0", AddressScope::reserved},
      {"64:ff9b:1::8.8.8.8", AddressScope::reserved},
      {"2002:7f00:1::1", AddressScope::loopback},
      {"2002:a9fe:a9fe::1", AddressScope::link_local},
      {"2002:0808:0808::1", AddressScope::global},
      {"2002::1", AddressScope::unspecified},
  });
}
