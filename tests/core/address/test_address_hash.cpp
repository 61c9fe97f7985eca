#include "core/address/address_hash.h"

#include <doctest/doctest.h>

#include <unordered_set>

#include "core/process_key.h"

using namespace sni;

TEST_CASE("tables of addresses hash with a key that nobody outside of the process knows") {
  const IpAddress address = *parse_ip("2001:db8::1");
  const Endpoint endpoint{.ip = address, .port = 443, .scope = 0};
  CHECK(process_key() != SipKey{});
  CHECK(process_key() == process_key());
  CHECK(std::hash<IpAddress>{}(address) == keyed_hash(process_key(), address));
  CHECK(std::hash<Endpoint>{}(endpoint) == keyed_hash(process_key(), endpoint));
  CHECK(keyed_hash({1, 2}, address) != keyed_hash({1, 3}, address));
  CHECK(keyed_hash({1, 2}, endpoint) != keyed_hash({1, 3}, endpoint));
}

TEST_CASE("each part of an endpoint counts in its hash") {
  const Endpoint endpoint{.ip = *parse_ip("fe80::1"), .port = 443, .scope = 2};
  const auto hash = [](const Endpoint& each) { return keyed_hash({1, 2}, each); };
  CHECK(hash(endpoint) == hash(Endpoint(endpoint)));
  CHECK(hash(endpoint) != hash({.ip = *parse_ip("fe80::2"), .port = 443, .scope = 2}));
  CHECK(hash(endpoint) != hash({.ip = endpoint.ip, .port = 444, .scope = 2}));
  CHECK(hash(endpoint) != hash({.ip = endpoint.ip, .port = 443, .scope = 3}));
}

TEST_CASE("neighbouring addresses spread over the hash's low bits") {
  std::unordered_set<std::size_t> v4_buckets;
  std::unordered_set<std::size_t> v6_buckets;
  for (unsigned i = 0; i < 4096; ++i) {
    const auto high = static_cast<std::uint8_t>(i >> 8);
    const auto low = static_cast<std::uint8_t>(i);
    v4_buckets.insert(std::hash<IpAddress>{}(IpAddress::v4(192, 0, high, low)) % 65'536);
    IpAddress network = *parse_ip("2001:db8::1");
    network.bytes[6] = high;
    network.bytes[7] = low;
    v6_buckets.insert(std::hash<IpAddress>{}(network) % 65'536);
  }
  // 4,096 random balls fill about 3,970 of 65,536 bins.
  CHECK(v4_buckets.size() > 3'800);
  CHECK(v6_buckets.size() > 3'800);
}
