#include "core/guard/guard_bans.h"

#include <doctest/doctest.h>

#include "core/limits.h"
#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr BanPolicy policy{.first_s = 60, .longest_s = 600, .ipv6_length = 64};
const IpAddress source = IpAddress::v4(192, 0, 2, 7);

}  // namespace

TEST_CASE("a ban holds for its time and not longer") {
  BanTable bans(policy);
  const auto ban = bans.ban(source, 1000);
  REQUIRE(ban);
  CHECK(ban->source == prefix("192.0.2.7"));
  CHECK(ban->until == 1060);
  CHECK(bans.is_banned(source, 1059));
  CHECK(!bans.is_banned(source, 1060));
  CHECK(!bans.is_banned(IpAddress::v4(192, 0, 2, 8), 1000));
}

TEST_CASE("each repetition doubles the time up to the longest") {
  BanTable bans(policy);
  GuardTime now = 1000;
  for (const std::uint32_t expected : {60u, 120u, 240u, 480u, 600u, 600u}) {
    CHECK(bans.ban(source, now)->until == now + expected);
    now += expected;
    bans.expire(now);
  }
}

TEST_CASE("a source that has behaved for as long as the longest ban is forgiven") {
  BanTable bans(policy);
  CHECK(bans.ban(source, 1000)->until == 1060);
  bans.expire(1060 + 599);
  CHECK(bans.ban(source, 1060 + 599)->until == 1060 + 599 + 120);
  bans.expire(1060 + 599 + 120 + 600);
  CHECK(bans.ban(source, 5000)->until == 5060);
}

TEST_CASE("IPv6 sources are banned by the prefix length of the policy") {
  BanTable bans(policy);
  CHECK(bans.ban(*parse_ip("2001:db8:0:7::1"), 1000)->source == prefix("2001:db8:0:7::/64"));
  CHECK(bans.is_banned(*parse_ip("2001:db8:0:7:ffff::2"), 1000));
  CHECK(!bans.is_banned(*parse_ip("2001:db8:0:8::1"), 1000));
}

TEST_CASE("a link-local source is banned alone, since its neighbours share its prefix") {
  BanTable bans(policy);
  CHECK(bans.ban(*parse_ip("fe80::1"), 1000)->source == prefix("fe80::1"));
  CHECK(bans.is_banned(*parse_ip("fe80::1"), 1000));
  CHECK(!bans.is_banned(*parse_ip("fe80::2"), 1000));
  CHECK(bans.lift(prefix("fe80::/10")).size() == 1);
}

TEST_CASE("the end of a ban is reported once") {
  BanTable bans(policy);
  bans.ban(source, 1000);
  CHECK(bans.expire(1059).empty());
  CHECK(bans.expire(1060) == std::vector{prefix("192.0.2.7")});
  CHECK(bans.expire(1061).empty());
}

TEST_CASE("lifting a prefix forgives every ban inside and around it") {
  BanTable bans(policy);
  const IpAddress v6 = *parse_ip("2001:db8::1");
  bans.ban(source, 1000);
  bans.ban(v6, 1000);
  CHECK(bans.lift(prefix("198.51.100.0/24")).empty());
  CHECK(bans.lift(prefix("::/0")) == std::vector{prefix("2001:db8::/64")});
  bans.ban(v6, 1000);
  CHECK(bans.lift(prefix("2001:db8::5")) == std::vector{prefix("2001:db8::/64")});
  CHECK(bans.lift(prefix("192.0.2.0/24")) == std::vector{prefix("192.0.2.7")});
  CHECK(bans.ban(source, 1000)->until == 1060);
}

TEST_CASE("a new policy keeps bans unless IPv6 sources are now counted otherwise") {
  BanTable bans(policy);
  bans.ban(source, 1000);
  bans.ban(*parse_ip("2001:db8::1"), 1000);
  bans.adopt({.first_s = 10, .longest_s = 600, .ipv6_length = 64});
  CHECK(bans.live(1000).size() == 2);
  bans.adopt({.first_s = 10, .longest_s = 600, .ipv6_length = 56});
  CHECK(bans.live(1000).size() == 1);
}

TEST_CASE("a full table makes no new bans until there is room") {
  BanTable bans(policy);
  for (std::size_t i = 0; i < limits::bans_max; ++i) {
    const auto high = static_cast<std::uint8_t>(i >> 8);
    REQUIRE(bans.ban(IpAddress::v4(10, 0, high, static_cast<std::uint8_t>(i)), 1000));
  }
  CHECK(!bans.ban(source, 1000));
  CHECK(bans.ban(IpAddress::v4(10, 0, 0, 1), 1000));
  bans.expire(1000 + 120 + 600);
  CHECK(bans.ban(source, 2000));
}
