#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "tests/support/guarded.h"
#include "tests/support/packet_builder.h"

using namespace sni;
using namespace sni::test;

namespace {

// Every prefix of `frame` passes below `dropped_from` bytes and is dropped from there on.
// BPF_PROG_TEST_RUN accepts no frame shorter than an Ethernet header.
void check_cuts(const Guarded& guarded, const Bytes& frame, std::size_t dropped_from) {
  for (std::size_t length = 14; length <= frame.size(); ++length) {
    CAPTURE(length);
    const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK(passes(guarded.filter(), cut) == (length < dropped_from));
  }
}

}  // namespace

TEST_CASE("a blocked IPv4 source is dropped and its neighbours are not") {
  Guarded guarded({blocked("192.0.2.7"), blocked("198.51.100.0/24")});
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("192.0.2.6") == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("198.51.100.0") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("198.51.100.255") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("198.51.99.255") == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("198.51.101.0") == GUARD_PASS_UNLISTED);
}

TEST_CASE("a blocked IPv6 source is dropped and its neighbours are not") {
  Guarded guarded({blocked("2001:db8::7"), blocked("2001:db8:1::/48")});
  CHECK(guarded.judge_v6("2001:db8::7") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v6("2001:db8::8") == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v6("2001:db8:1:ffff:ffff:ffff:ffff:ffff") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v6("2001:db8:2::") == GUARD_PASS_UNLISTED);
}

TEST_CASE("a prefix of length 0 blocks its own family and no other") {
  Guarded v4({blocked("0.0.0.0/0")});
  CHECK(v4.judge_v4("0.0.0.1") == GUARD_DROP_BLOCKED);
  CHECK(v4.judge_v4("255.255.255.255") == GUARD_DROP_BLOCKED);
  CHECK(v4.judge_v6("2001:db8::1") == GUARD_PASS_UNLISTED);
  Guarded v6({blocked("::/0")});
  CHECK(v6.judge_v6("::1") == GUARD_DROP_BLOCKED);
  CHECK(v6.judge_v6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") == GUARD_DROP_BLOCKED);
  CHECK(v6.judge_v4("192.0.2.1") == GUARD_PASS_UNLISTED);
}

TEST_CASE("each prefix length blocks exactly its addresses") {
  Guarded guarded({});
  for (unsigned length = 1; length <= 32; ++length) {
    CAPTURE(length);
    const auto base = parse_ip("203.0.113.77")->masked(96 + length);
    const IpPrefix inside{.base = base, .length = static_cast<std::uint8_t>(96 + length)};
    IpAddress outside = base;
    outside.bytes[12 + (length - 1) / 8] ^= static_cast<std::uint8_t>(0x80 >> (length - 1) % 8);
    guarded.set({.prefix = inside, .term = {.block_until = guard_never_expires}});
    CHECK(guarded.judge_v4(base.to_string()) == GUARD_DROP_BLOCKED);
    CHECK(guarded.judge_v4(outside.to_string()) == GUARD_PASS_UNLISTED);
    guarded.set({.prefix = inside, .term = {}});
  }
  for (unsigned length = 1; length <= 127; ++length) {
    CAPTURE(length);
    const auto base = parse_ip("fdff:1234:5678:9abc:def0:fedc:ba98:7654")->masked(length);
    const IpPrefix inside{.base = base, .length = static_cast<std::uint8_t>(length)};
    IpAddress outside = base;
    outside.bytes[(length - 1) / 8] ^= static_cast<std::uint8_t>(0x80 >> (length - 1) % 8);
    guarded.set({.prefix = inside, .term = {.block_until = guard_never_expires}});
    CHECK(guarded.judge_v6(base.to_string()) == GUARD_DROP_BLOCKED);
    CHECK(guarded.judge_v6(outside.to_string()) == GUARD_PASS_UNLISTED);
    guarded.set({.prefix = inside, .term = {}});
  }
}

TEST_CASE("allow wins over block whichever of them is longer") {
  Guarded guarded({blocked("192.0.2.0/24"), allowed("192.0.2.128/25"), allowed("198.51.100.0/24"),
                   blocked("198.51.100.7"), blocked("203.0.113.9"), allowed("203.0.113.9"),
                   blocked("2001:db8::/32"), allowed("2001:db8::5")});
  CHECK(guarded.judge_v4("192.0.2.1") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("192.0.2.129") == GUARD_PASS_ALLOWED);
  CHECK(guarded.judge_v4("198.51.100.7") == GUARD_PASS_ALLOWED);
  CHECK(guarded.judge_v4("203.0.113.9") == GUARD_PASS_ALLOWED);
  CHECK(guarded.judge_v6("2001:db8::4") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v6("2001:db8::5") == GUARD_PASS_ALLOWED);
}

TEST_CASE("an entry holds until its time and an expired one hides nothing") {
  const GuardTime now = boot_time();
  const GuardTime past = now - 1;
  const GuardTime future = now + 3600;
  Guarded guarded(
      {blocked("192.0.2.0/24", past), blocked("198.51.100.0/24", future),
       // A longer prefix and an address, both expired, inside a live shorter one.
       blocked("203.0.113.0/24"), blocked("203.0.113.0/28", past), blocked("203.0.113.1", past),
       // An expired allow entry no longer helps.
       blocked("2001:db8::/32"), allowed("2001:db8::1", past), allowed("2001:db8::2", future)});
  CHECK(guarded.judge_v4("192.0.2.1") == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("198.51.100.1") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("203.0.113.1") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("203.0.113.2") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v6("2001:db8::1") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v6("2001:db8::2") == GUARD_PASS_ALLOWED);
}

TEST_CASE("up to two VLAN tags are looked through and a third is let pass") {
  Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")});
  const Ipv4 v4{.source = "192.0.2.7"};
  const Ipv6 v6{.source = "2001:db8::7"};
  CHECK(guarded.judge(packet(Ethernet{ethertype_vlan}, Vlan{}, v4, Tcp{}), GUARD_IPV4) ==
        GUARD_DROP_BLOCKED);
  CHECK(
      guarded.judge(packet(Ethernet{ethertype_vlan}, Vlan{.ethertype = ethertype_ipv6}, v6, Tcp{}),
                    GUARD_IPV6) == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge(packet(Ethernet{ethertype_service_vlan}, Vlan{.ethertype = ethertype_vlan},
                             Vlan{}, v4, Tcp{}),
                      GUARD_IPV4) == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge(packet(Ethernet{ethertype_service_vlan}, Vlan{.ethertype = ethertype_vlan},
                             Vlan{.ethertype = ethertype_vlan}, Vlan{}, v4, Tcp{}),
                      GUARD_OTHER) == GUARD_PASS_NOT_PARSED);
}

TEST_CASE("fragments and headers with options of a blocked source are dropped like the rest") {
  Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")});
  const auto judge_v4 = [&](const Ipv4& ip) {
    return guarded.judge(packet(Ethernet{}, ip, Tcp{}), GUARD_IPV4);
  };
  CHECK(judge_v4({.source = "192.0.2.7", .more_fragments = true}) == GUARD_DROP_BLOCKED);
  CHECK(judge_v4({.source = "192.0.2.7", .fragment_offset = 185}) == GUARD_DROP_BLOCKED);
  CHECK(judge_v4({.source = "192.0.2.7", .header_words = 15}) == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge(packet(Ethernet{ethertype_ipv6},
                             Ipv6{.source = "2001:db8::7", .next = protocol_fragment},
                             Ipv6Fragment{.offset = 100}),
                      GUARD_IPV6) == GUARD_DROP_BLOCKED);
}

TEST_CASE("scope host drops every protocol and scope listeners only the proxy's own TCP ports") {
  const auto udp = packet(Ethernet{}, Ipv4{.source = "192.0.2.7", .protocol = protocol_udp}, Udp{});
  Guarded host({blocked("192.0.2.7")});
  CHECK(host.judge_v4("192.0.2.7", 22) == GUARD_DROP_BLOCKED);
  CHECK(host.judge(udp, GUARD_IPV4) == GUARD_DROP_BLOCKED);

  Guarded listeners({blocked("192.0.2.7"), blocked("2001:db8::7")},
                    {.block_listeners = true, .listener_ports = {443, 8443, 65535, 1}});
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{443, 8443, 65535, 1}) {
    CHECK(listeners.judge_v4("192.0.2.7", port) == GUARD_DROP_BLOCKED);
    CHECK(listeners.judge_v6("2001:db8::7", port) == GUARD_DROP_BLOCKED);
  }
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{22, 442, 444, 379, 0}) {
    CHECK(listeners.judge_v4("192.0.2.7", port) == GUARD_PASS_NOT_LISTENER);
    CHECK(listeners.judge_v6("2001:db8::7", port) == GUARD_PASS_NOT_LISTENER);
  }
  CHECK(listeners.judge(udp, GUARD_IPV4) == GUARD_PASS_NOT_LISTENER);
}

TEST_CASE("scope listeners finds the port behind options and extension headers") {
  Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")}, {.block_listeners = true});
  const auto v4 = [&](const Ipv4& ip) {
    return guarded.judge(packet(Ethernet{}, ip, Tcp{}), GUARD_IPV4);
  };
  CHECK(v4({.source = "192.0.2.7", .header_words = 7}) == GUARD_DROP_BLOCKED);
  CHECK(v4({.source = "192.0.2.7", .more_fragments = true}) == GUARD_DROP_BLOCKED);
  // Ports are only in the first fragment; later ones are useless without it.
  CHECK(v4({.source = "192.0.2.7", .fragment_offset = 1}) == GUARD_PASS_NOT_LISTENER);
  CHECK(v4({.source = "192.0.2.7", .header_words = 4}) == GUARD_PASS_NOT_LISTENER);

  const auto v6 = [&](std::uint8_t next, const auto&... layers) {
    return guarded.judge(
        packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7", .next = next}, layers...),
        GUARD_IPV6);
  };
  CHECK(v6(protocol_hop_by_hop, Ipv6Extension{.next = protocol_destination, .units = 2},
           Ipv6Extension{.next = protocol_routing, .units = 1}, Ipv6Extension{},
           Tcp{}) == GUARD_DROP_BLOCKED);
  CHECK(v6(protocol_fragment, Ipv6Fragment{}, Tcp{}) == GUARD_DROP_BLOCKED);
  CHECK(v6(protocol_fragment, Ipv6Fragment{.offset = 1}, Tcp{}) == GUARD_PASS_NOT_LISTENER);
  CHECK(v6(protocol_authentication, Ipv6Extension{.units = 4, .unit_bytes = 4}, Tcp{}) ==
        GUARD_DROP_BLOCKED);
  // An unknown next header, and more headers than any valid packet has.
  CHECK(v6(protocol_udp, Udp{}) == GUARD_PASS_NOT_LISTENER);
  const Ipv6Extension more{.next = protocol_destination};
  CHECK(v6(protocol_destination, more, more, more, more, more, more, Ipv6Extension{}, Tcp{}) ==
        GUARD_DROP_BLOCKED);
  CHECK(v6(protocol_destination, more, more, more, more, more, more, more, Ipv6Extension{},
           Tcp{}) == GUARD_PASS_NOT_LISTENER);
}

TEST_CASE("a longest possible extension header does not lead past the frame") {
  Guarded guarded({blocked("2001:db8::7")}, {.block_listeners = true});
  const auto frame =
      packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7", .next = protocol_destination},
             Ipv6Extension{.units = 255}, Tcp{});
  CHECK(guarded.judge(frame, GUARD_IPV6) == GUARD_DROP_BLOCKED);
  const auto claims_more =
      packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7", .next = protocol_destination},
             Ipv6Extension{.units = 255, .unit_bytes = 7}, Tcp{});
  CHECK(guarded.judge(claims_more, GUARD_IPV6) == GUARD_PASS_NOT_LISTENER);
}

TEST_CASE("ARP and neighbour discovery pass from any source") {
  Guarded guarded({blocked("0.0.0.0/0"), blocked("::/0")}, {.default_deny = true});
  CHECK(guarded.judge(packet(Ethernet{ethertype_arp}, Arp{"192.0.2.7"}), GUARD_OTHER) ==
        GUARD_PASS_NOT_PARSED);
  const auto icmp = [&](std::uint8_t type, std::uint8_t hop_limit) {
    return guarded.judge(
        packet(Ethernet{ethertype_ipv6},
               Ipv6{.source = "2001:db8::7", .next = protocol_icmpv6, .hop_limit = hop_limit},
               Icmpv6{type}),
        GUARD_IPV6);
  };
  for (std::uint8_t type = 133; type <= 137; ++type) {
    CHECK(icmp(type, 255) == GUARD_PASS_NEIGHBOUR);
    CHECK(icmp(type, 254) == GUARD_DROP_BLOCKED);
  }
  CHECK(icmp(132, 255) == GUARD_DROP_BLOCKED);
  CHECK(icmp(138, 255) == GUARD_DROP_BLOCKED);
  CHECK(icmp(128, 255) == GUARD_DROP_BLOCKED);
}

TEST_CASE("default deny reaches the listeners and nothing else") {
  Guarded guarded({allowed("192.0.2.0/24"), blocked("198.51.100.7"), allowed("2001:db8::/48")},
                  {.default_deny = true});
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_PASS_ALLOWED);
  CHECK(guarded.judge_v4("203.0.113.5") == GUARD_DROP_NOT_ALLOWED);
  CHECK(guarded.judge_v4("203.0.113.5", 22) == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("198.51.100.7", 22) == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v6("2001:db8::9") == GUARD_PASS_ALLOWED);
  CHECK(guarded.judge_v6("2001:db8:1::9") == GUARD_DROP_NOT_ALLOWED);
  CHECK(guarded.judge_v6("2001:db8:1::9", 8443) == GUARD_PASS_UNLISTED);
  const auto answer_of_a_resolver =
      packet(Ethernet{}, Ipv4{.source = "203.0.113.53", .protocol = protocol_udp},
             Udp{.source = 53, .target = 443});
  CHECK(guarded.judge(answer_of_a_resolver, GUARD_IPV4) == GUARD_PASS_UNLISTED);
}

TEST_CASE("bans reach the listeners only, end by themselves and never touch the allowlist") {
  Guarded guarded({allowed("192.0.2.9")});
  const GuardTime later = boot_time() + 3600;
  REQUIRE(guarded.generation().ban({.source = prefix("192.0.2.7"), .until = later}));
  REQUIRE(guarded.generation().ban({.source = prefix("192.0.2.8"), .until = boot_time()}));
  REQUIRE(guarded.generation().ban({.source = prefix("192.0.2.9"), .until = later}));
  REQUIRE(guarded.generation().ban({.source = prefix("2001:db8:0:7::/64"), .until = later}));
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_DROP_BANNED);
  CHECK(guarded.judge_v4("192.0.2.7", 22) == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("192.0.2.8") == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("192.0.2.9") == GUARD_PASS_ALLOWED);
  CHECK(guarded.judge_v6("2001:db8:0:7:ffff::1") == GUARD_DROP_BANNED);
  CHECK(guarded.judge_v6("2001:db8:0:7:ffff::1", 22) == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v6("2001:db8:0:8::1") == GUARD_PASS_UNLISTED);
  REQUIRE(guarded.generation().ban({.source = prefix("fe80::7"), .until = later}));
  CHECK(guarded.judge_v6("fe80::7") == GUARD_DROP_BANNED);
  CHECK(guarded.judge_v6("fe80::8") == GUARD_PASS_UNLISTED);
  guarded.generation().unban(prefix("192.0.2.7"));
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_PASS_UNLISTED);
}

TEST_CASE("a frame cut at any byte passes until its source is there, and is dropped from then on") {
  Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")});
  check_cuts(guarded, packet(Ethernet{}, Ipv4{.source = "192.0.2.7"}, Tcp{}), 14 + 20);
  check_cuts(guarded,
             packet(Ethernet{ethertype_service_vlan}, Vlan{.ethertype = ethertype_vlan}, Vlan{},
                    Ipv4{.source = "192.0.2.7"}, Tcp{}),
             14 + 8 + 20);
  check_cuts(guarded, packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7"}, Tcp{}),
             14 + 40);
}

TEST_CASE("with scope listeners a frame cut at any byte passes until its port is there") {
  Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")}, {.block_listeners = true});
  check_cuts(guarded, packet(Ethernet{}, Ipv4{.source = "192.0.2.7", .header_words = 8}, Tcp{}),
             14 + 32 + 4);
  check_cuts(
      guarded,
      packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7", .next = protocol_hop_by_hop},
             Ipv6Extension{.next = protocol_authentication, .units = 1},
             Ipv6Extension{.next = protocol_fragment, .units = 4, .unit_bytes = 4}, Ipv6Fragment{},
             Tcp{}),
      14 + 40 + 16 + 24 + 8 + 4);
}

TEST_CASE("a header that claims another IP version is left to the stack") {
  Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")});
  CHECK(guarded.judge(packet(Ethernet{}, Ipv4{.source = "192.0.2.7", .version = 5}, Tcp{}),
                      GUARD_IPV4) == GUARD_PASS_NOT_PARSED);
  CHECK(guarded.judge(
            packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7", .version = 4}, Tcp{}),
            GUARD_IPV6) == GUARD_PASS_NOT_PARSED);
  CHECK(guarded.judge(packet(Ethernet{0x1234}, Ipv4{.source = "192.0.2.7"}), GUARD_OTHER) ==
        GUARD_PASS_NOT_PARSED);
}

TEST_CASE("before a generation is activated everything passes") {
  const XdpFilter filter = loaded_filter();
  CHECK(passes(filter, packet(Ethernet{}, Ipv4{.source = "192.0.2.7"}, Tcp{})));
  CHECK(passes(filter, packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7"}, Tcp{})));
}
