#include "core/dns/resolution.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "support/resolution.h"

using namespace sni;
using namespace sni::test;

namespace {

const std::vector<IpAddress> v6{*parse_ip("2001:db8::1"), *parse_ip("2001:db8::2")};
const std::vector<IpAddress> v4{*parse_ip("192.0.2.1"), *parse_ip("192.0.2.2"),
                                *parse_ip("192.0.2.3")};

std::vector<std::string> in_turn(const Resolution& resolution, std::uint32_t turn) {
  std::vector<std::string> list;
  for (std::size_t i = 0; i < resolution.count(); ++i) {
    list.push_back(resolution.in_turn(i, turn).to_string());
  }
  return list;
}

}  // namespace

TEST_CASE("families are ordered as configured") {
  CHECK(Resolution::of(v6, v4, AddressFamilies::any) ==
        addresses({"2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"}));
  CHECK(Resolution::of(v6, v4, AddressFamilies::ipv4) ==
        addresses({"192.0.2.1", "192.0.2.2", "192.0.2.3"}));
  CHECK(Resolution::of(v6, v4, AddressFamilies::ipv6) == addresses({"2001:db8::1", "2001:db8::2"}));
  CHECK(Resolution::of(v6, v4, AddressFamilies::prefer_ipv4) ==
        addresses({"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"}));
}

TEST_CASE("a name with none of the wanted family is not found") {
  CHECK(Resolution::of(v6, {}, AddressFamilies::ipv4) == not_found);
  CHECK(Resolution::of({}, v4, AddressFamilies::ipv6) == not_found);
}

TEST_CASE("the start moves on within each family, whose places stay") {
  using Texts = std::vector<std::string>;
  const Resolution both = Resolution::of(v6, v4, AddressFamilies::any);
  CHECK(in_turn(both, 0) ==
        Texts{"2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"});
  CHECK(in_turn(both, 1) ==
        Texts{"2001:db8::2", "192.0.2.2", "2001:db8::1", "192.0.2.3", "192.0.2.1"});
  CHECK(in_turn(both, ~0u - 3).size() == 5);
  const Resolution preferred = Resolution::of(v6, v4, AddressFamilies::prefer_ipv4);
  CHECK(in_turn(preferred, 1) ==
        Texts{"192.0.2.2", "192.0.2.3", "192.0.2.1", "2001:db8::2", "2001:db8::1"});
}

TEST_CASE("every turn has every address once") {
  const Resolution both = Resolution::of(v6, v4, AddressFamilies::any);
  for (std::uint32_t turn = 0; turn < 7; ++turn) {
    const auto list = in_turn(both, turn);
    CHECK(std::set<std::string>(list.begin(), list.end()).size() == both.count());
  }
}

TEST_CASE("addresses beyond the bound are left out") {
  const std::vector<IpAddress> many(limits::backend_addresses_max + 1, v4.front());
  CHECK(Resolution::of(many).count() == limits::backend_addresses_max);
}
