#include "bpf/packet/route_lookup.h"

#include <doctest/doctest.h>
#include <net/if_arp.h>

#include <cerrno>
#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "tests/support/own_network.h"

using namespace sni;
using namespace std::chrono_literals;
using namespace sni::test;

namespace {

Endpoint endpoint(const char* ip, std::uint32_t scope = 0) {
  return {.ip = *parse_ip(ip), .port = 443, .scope = scope};
}

RouteLookup opened() {
  auto lookup = RouteLookup::open();
  REQUIRE_MESSAGE(lookup, lookup.error().what);
  return std::move(*lookup);
}

PacketRoute found(RouteLookup& lookup, const char* source, const Endpoint& target) {
  const auto route = lookup.find(*parse_ip(source), target);
  REQUIRE_MESSAGE(route, route.error().what);
  return *route;
}

void make_two_ways() {
  for (const std::string name : {"one", "two"}) {
    ip("link add " + name + " type veth peer name " + name + "far");
    ip("link set " + name + " up");
    ip("link set " + name + "far up");
  }
  ip("addr add 198.18.1.1/24 dev one");
  ip("addr add 198.18.2.1/24 dev two");
  ip("-6 addr add 2001:db8:1::1/64 dev one nodad");
}

}  // namespace

TEST_CASE("the way to a neighbour is its interface, and behind a gateway the gateway's") {
  in_own_network([] {
    make_two_ways();
    ip("link set two mtu 1400");
    ip("route add 203.0.113.0/24 via 198.18.2.9");
    RouteLookup lookup = opened();
    CHECK(found(lookup, "198.18.1.1", endpoint("198.18.1.5")) ==
          PacketRoute{.interface = if_nametoindex("one"), .mtu = 1500});
    CHECK(found(lookup, "198.18.2.1", endpoint("203.0.113.7")) ==
          PacketRoute{
              .interface = if_nametoindex("two"), .gateway = parse_ip("198.18.2.9"), .mtu = 1400});
    CHECK(found(lookup, "2001:db8:1::1", endpoint("2001:db8:1::5")) ==
          PacketRoute{.interface = if_nametoindex("one"), .mtu = 1500});
  });
}

TEST_CASE("a route's own MTU counts before the device's") {
  in_own_network([] {
    make_two_ways();
    ip("route add 203.0.113.0/24 via 198.18.2.9 mtu 1300");
    RouteLookup lookup = opened();
    CHECK(found(lookup, "198.18.2.1", endpoint("203.0.113.7")).mtu == 1300);
  });
}

TEST_CASE("the host's own addresses are local, and go by loopback") {
  in_own_network([] {
    make_two_ways();
    RouteLookup lookup = opened();
    const PacketRoute local{.interface = if_nametoindex("lo"), .local = true, .mtu = 65'536};
    CHECK(found(lookup, "127.0.0.1", endpoint("127.0.0.1")) == local);
    CHECK(found(lookup, "::1", endpoint("::1")) == local);
    CHECK(found(lookup, "198.18.1.1", endpoint("198.18.1.1")) == local);
    // A kernel worker adds the route of a new IPv6 address (addrconf_dad_work).
    const Endpoint own = endpoint("2001:db8:1::1");
    for (int i = 0; i < 500 && !found(lookup, "2001:db8:1::1", own).local; ++i) {
      std::this_thread::sleep_for(10ms);
    }
    CHECK(found(lookup, "2001:db8:1::1", own) == local);
  });
}

TEST_CASE("the source chooses the way where the routes do") {
  in_own_network([] {
    make_two_ways();
    ip("route add default via 198.18.1.9");
    ip("route add default via 198.18.2.9 table 7");
    ip("rule add from 198.18.2.1 lookup 7");
    RouteLookup lookup = opened();
    const Endpoint target = endpoint("203.0.113.7");
    CHECK(found(lookup, "198.18.1.1", target).interface == if_nametoindex("one"));
    CHECK(found(lookup, "198.18.2.1", target).interface == if_nametoindex("two"));
    CHECK(!lookup.find(*parse_ip("203.0.113.1"), target));
    const auto any = lookup.find(IpAddress{}, target);
    REQUIRE_MESSAGE(any, any.error().what);
    CHECK(any->interface == if_nametoindex("one"));
  });
}

TEST_CASE("link-local targets go by their scope") {
  in_own_network([] {
    make_two_ways();
    RouteLookup lookup = opened();
    const std::uint32_t two = if_nametoindex("two");
    CHECK(found(lookup, "fe80::1", endpoint("fe80::5", two)).interface == two);
  });
}

TEST_CASE("where there is no way the error says so") {
  in_own_network([] {
    make_two_ways();
    ip("route add unreachable 203.0.113.0/24");
    ip("route add blackhole 192.0.2.0/24");
    RouteLookup lookup = opened();
    const auto nowhere = lookup.find(*parse_ip("198.18.1.1"), endpoint("100.64.0.1"));
    REQUIRE(!nowhere);
    CHECK(nowhere.error().sys_errno == ENETUNREACH);
    CHECK(nowhere.error().what.starts_with("no way to 100.64.0.1: "));
    CHECK(!lookup.find(*parse_ip("198.18.1.1"), endpoint("203.0.113.7")));
    CHECK(!lookup.find(*parse_ip("198.18.1.1"), endpoint("192.0.2.1")));
    CHECK(!lookup.find(*parse_ip("2001:db8:1::1"), endpoint("2001:db8:f::1")));
  });
}

TEST_CASE("an interface is found by its index") {
  in_own_network([] {
    make_two_ways();
    ip("link add bridge type bridge");
    RouteLookup lookup = opened();
    const auto veth = lookup.interface(if_nametoindex("one"));
    REQUIRE(veth);
    CHECK(*veth == Interface{.index = if_nametoindex("one"),
                             .name = "one",
                             .kind = "veth",
                             .type = ARPHRD_ETHER,
                             .mtu = 1500,
                             .lower = if_nametoindex("onefar"),
                             .up = true});
    CHECK(lookup.interface(if_nametoindex("bridge"))->kind == "bridge");
    CHECK(lookup.interface(if_nametoindex("lo"))->type == ARPHRD_LOOPBACK);
    CHECK(lookup.interface(4711).error().sys_errno == ENODEV);
  });
}

TEST_CASE("entrances are up and have an address, and ports leave that to the interface above") {
  in_own_network([] {
    make_two_ways();
    ip("link add bridge type bridge");
    ip("link add off type veth peer name offfar");
    ip("addr add 198.18.3.1/24 dev bridge");
    ip("addr add 198.18.4.1/24 dev off");
    ip("addr add 169.254.1.1/16 dev twofar scope link");
    ip("link set bridge up");
    ip("link set two master bridge");
    RouteLookup lookup = opened();
    const auto found = lookup.entrances();
    REQUIRE(found);
    std::set<std::string> names;
    for (const Interface& each : *found) names.insert(each.name);
    CHECK(names == std::set<std::string>{"bridge", "one"});
    CHECK(lookup.interface(if_nametoindex("two"))->upper == if_nametoindex("bridge"));
  });
}
