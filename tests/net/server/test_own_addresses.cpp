#include "net/server/own_addresses.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sni;

TEST_CASE("the loopback address is among this host's own, and each is there once") {
  const auto addresses = own_addresses();
  REQUIRE(addresses);
  CHECK(std::ranges::count(*addresses, IpAddress::v4(127, 0, 0, 1)) == 1);
  CHECK(std::ranges::adjacent_find(*addresses) == addresses->end());
}
