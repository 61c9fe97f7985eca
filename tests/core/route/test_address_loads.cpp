#include "core/route/address_loads.h"

#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <vector>

using namespace sni;

namespace {

IpAddress address(std::uint32_t number) {
  const auto byte = [number](int shift) { return static_cast<std::uint8_t>(number >> shift); };
  return IpAddress::v4(10, byte(16), byte(8), byte(0));
}

}  // namespace

TEST_CASE("connections are counted for each address apart, until they leave") {
  AddressLoads loads;
  const auto first = loads.enter(address(1));
  const auto second = loads.enter(address(1));
  const auto other = loads.enter(address(2));
  CHECK(loads.count(address(1)) == 2);
  CHECK(loads.count(address(2)) == 1);
  CHECK(loads.count(address(3)) == 0);
  AddressLoads::leave(first);
  AddressLoads::leave(other);
  CHECK(loads.count(address(1)) == 1);
  CHECK(loads.count(address(2)) == 0);
  AddressLoads::leave(second);
  CHECK(loads.count(address(1)) == 0);
}

TEST_CASE("an address without connections leaves its place to another one") {
  AddressLoads loads;
  for (std::uint32_t i = 0; i < 10 * limits::counted_addresses; ++i) {
    const auto place = loads.enter(address(i));
    REQUIRE(place != nullptr);
    CHECK(loads.count(address(i)) == 1);
    AddressLoads::leave(place);
  }
}

TEST_CASE("where there is no place left, connections go uncounted") {
  AddressLoads loads;
  std::vector<AddressLoads::Place> places;
  for (std::uint32_t i = 0; i < limits::counted_addresses; ++i) {
    places.push_back(loads.enter(address(i)));
  }
  CHECK(loads.enter(address(1000)) == nullptr);
  AddressLoads::leave(nullptr);
  CHECK(loads.count(address(1000)) == 0);
  CHECK(loads.count(address(0)) == 1);
}

TEST_CASE("workers that come and go at once leave no count behind") {
  const auto loads = std::make_unique<AddressLoads>();
  std::vector<std::jthread> workers;
  for (std::uint32_t worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&loads, worker] {
      for (std::uint32_t i = 0; i < 20'000; ++i) {
        AddressLoads::leave(loads->enter(address((i * 7 + worker) % 200)));
      }
    });
  }
  workers.clear();
  for (std::uint32_t i = 0; i < 200; ++i) CHECK(loads->count(address(i)) == 0);
}
