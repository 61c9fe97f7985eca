#include "net/server/own_addresses.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <string>

#include "support/own_network.h"
#include "support/skip.h"

using namespace sni;
using namespace sni::test;

namespace {

std::vector<IpAddress> listed() {
  auto addresses = own_addresses();
  REQUIRE(addresses);
  return std::move(addresses->addresses);
}

bool lists(const char* address) {
  return std::ranges::count(listed(), *parse_ip(address)) == 1;
}

bool speaks(const UniqueFd& watch, int wait_ms) {
  pollfd readable{.fd = watch.get(), .events = POLLIN, .revents = 0};
  return poll(&readable, 1, wait_ms) == 1;
}

// Two interfaces in one namespace, both up, without addresses: link-local ones would appear some
// time later.
void add_interfaces() {
  ip("link add first type veth peer name second");
  for (const std::string interface : {"first", "second"}) {
    ip("link set " + interface + " addrgenmode none");
    ip("link set " + interface + " up");
  }
}

}  // namespace

TEST_CASE("the addresses of all interfaces and of both families are this host's own") {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([] {
    add_interfaces();
    ip("address add 198.18.0.1/24 dev first");
    ip("address add 198.19.0.1/32 dev second");
    ip("address add 2001:db8::1/64 dev second nodad");
    for (const char* own : {"127.0.0.1", "::1", "198.18.0.1", "198.19.0.1", "2001:db8::1"}) {
      CHECK_MESSAGE(lists(own), own);
    }
    CHECK_FALSE(lists("198.18.0.2"));
    CHECK_FALSE(lists("198.18.0.255"));  // The broadcast address belongs to no interface.
  });
}

TEST_CASE("of a pair of addresses the own one is listed, not the peer's") {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([] {
    add_interfaces();
    ip("address add 198.18.0.1 peer 198.18.0.9 dev first");
    CHECK(lists("198.18.0.1"));
    CHECK_FALSE(lists("198.18.0.9"));
  });
}

TEST_CASE(
    "a prefix that a route gives to this host is its own, but not one for a transparent proxy") {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([] {
    add_interfaces();
    ip("route add local 198.18.44.0/24 dev lo");
    ip("route add local 2001:db8:44::/64 dev lo");
    ip("route add local 0.0.0.0/0 dev lo table 100");
    const auto own = own_addresses();
    REQUIRE(own);
    CHECK(std::ranges::count(own->prefixes, *parse_prefix("198.18.44.0/24")) == 1);
    CHECK(std::ranges::count(own->prefixes, *parse_prefix("2001:db8:44::/64")) == 1);
    CHECK(std::ranges::count(own->prefixes, *parse_prefix("0.0.0.0/0")) == 0);
  });
}

TEST_CASE("an address that two interfaces have is listed once") {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([] {
    add_interfaces();
    ip("address add 198.18.0.1/24 dev first");
    ip("address add 198.18.0.1/32 dev second");
    CHECK(lists("198.18.0.1"));
    const auto all = listed();
    CHECK(std::ranges::adjacent_find(all) == all.end());
  });
}

TEST_CASE("the watch speaks when an address comes or goes, and is silent once rearmed") {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([] {
    add_interfaces();
    const auto watch = watch_own_addresses();
    REQUIRE(watch);
    for (const char* change :
         {"add 198.18.0.1/24 dev first", "del 198.18.0.1/24 dev first",
          "add 2001:db8::1/64 dev first nodad", "del 2001:db8::1/64 dev first"}) {
      ip("address " + std::string(change));
      CHECK_MESSAGE(speaks(*watch, 10'000), change);
      rearm(*watch);
      CHECK_FALSE(speaks(*watch, 0));
    }
  });
}

TEST_CASE("a rearmed watch that was flooded speaks again at the next change") {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([] {
    add_interfaces();
    const auto watch = watch_own_addresses();
    REQUIRE(watch);
    const int smallest = 1;  // The kernel makes it SOCK_MIN_RCVBUF: room for a few messages.
    REQUIRE(setsockopt(watch->get(), SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest) == 0);
    for (int i = 1; i <= 40; ++i) {
      ip("address add 198.18.0." + std::to_string(i) + "/32 dev first");
    }
    rearm(*watch);
    CHECK_FALSE(speaks(*watch, 0));
    ip("address add 198.19.0.1/32 dev first");
    CHECK(speaks(*watch, 10'000));
    CHECK(lists("198.18.0.40"));
  });
}
