#include "net/interface_index.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("an interface is found by its name and named by its index") {
  const auto index = interface_index("lo");
  REQUIRE(index.has_value());
  CHECK(interface_name(*index) == "lo");
}

TEST_CASE("what is no interface has neither index nor name") {
  CHECK_FALSE(interface_index("").has_value());
  CHECK_FALSE(interface_index("a-name-that-is-too-long").has_value());
  CHECK(interface_name(0).empty());
  CHECK(interface_name(0x7fff'ffff).empty());
}
