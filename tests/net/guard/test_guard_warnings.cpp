#include "net/guard/guard_warnings.h"

#include <doctest/doctest.h>
#include <algorithm>

#include <string>
#include <vector>

#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;

namespace {

Config config_that_blocks(std::vector<std::string> prefixes) {
  Config config;
  config.xdp.interfaces = {"eth0"};
  for (const std::string& text : prefixes)
    config.access.block.push_back({.prefix = prefix(text), .until = {}});
  return config;
}

const std::vector<NeededSource> gateway = {{IpAddress::v4(192, 0, 2, 1), "the gateway"}};

}  // namespace

TEST_CASE("a block that covers what the host needs is named, wherever it stands") {
  const std::vector<std::string> warning = {
      "the block of 192.0.2.0/24 covers 192.0.2.1, the gateway: XDP would drop all of its packets"};
  CHECK(guard_warnings(config_that_blocks({"192.0.2.0/24", "198.51.100.0/24"}), {}, gateway) ==
        warning);
  CHECK(guard_warnings(config_that_blocks({}), {{.prefix = prefix("192.0.2.0/24"), .until = {}}},
                       gateway) == warning);
}

TEST_CASE("there is nothing to warn of without XDP, with scope listeners, or under an allow") {
  Config config = config_that_blocks({"192.0.2.0/24"});
  config.access.allow = {{.prefix = prefix("192.0.2.1"), .until = {}}};
  CHECK(guard_warnings(config, {}, gateway).empty());
  config = config_that_blocks({"192.0.2.0/24"});
  config.access.scope = BlockScope::listeners;
  CHECK(guard_warnings(config, {}, gateway).empty());
  config = config_that_blocks({"192.0.2.0/24"});
  config.xdp.interfaces.clear();
  CHECK(guard_warnings(config, {}, gateway).empty());
  CHECK(guard_warnings(config_that_blocks({"192.0.2.2/31", "::/0"}), {}, gateway).empty());
}

TEST_CASE("with XDP, proxies before this one that a block or the default cuts off are named") {
  Config config = config_that_blocks({"192.0.2.0/24"});
  config.access.scope = BlockScope::listeners;
  config.listeners.resize(1);
  config.listeners[0].accept_proxy_from = {prefix("192.0.2.0/25"), prefix("198.51.100.1")};
  CHECK(guard_warnings(config, {}, {}) ==
        std::vector<std::string>{"the block of 192.0.2.0/24 covers 192.0.2.0/25 in "
                                 "'accept_proxy_from': XDP would drop its packets"});
  config.access.default_allow = false;
  config.access.allow = {{.prefix = prefix("192.0.2.0/24"), .until = {}}};
  CHECK(
      guard_warnings(config, {}, {}) ==
      std::vector<std::string>{"'access.default' is \"deny\", and 'access.allow' does not have "
                               "198.51.100.1 in 'accept_proxy_from': XDP would drop its packets"});
  config.access.allow.push_back({.prefix = prefix("198.51.100.0/24"), .until = {}});
  CHECK(guard_warnings(config, {}, {}).empty());
  config.access = config_that_blocks({"192.0.2.7"}).access;
  CHECK_MESSAGE(guard_warnings(config, {}, {}).empty(), "one client behind the proxies");
  config.access.default_allow = false;
  config.xdp.interfaces.clear();
  CHECK(guard_warnings(config, {}, {}).empty());
}

TEST_CASE("gateways are found in the kernel's route tables") {
  const char* ipv4 =
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
      "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
      "eth1\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";
  const char* ipv6 =
      "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
      "fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
      "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 "
      "00000000000000000000000000000000 00000400 00000001 00000000 00000001 eth0\n"
      "short line\n";
  CHECK(parse_gateways(ipv4, ipv6) ==
        std::vector{IpAddress::v4(192, 0, 2, 1), *parse_ip("fe80::1")});
  CHECK(parse_gateways("", "").empty());
}

TEST_CASE("needed sources are this host, its resolvers and its backends") {
  Config config;
  config.dns.servers = {{.ip = IpAddress::v4(192, 0, 2, 53), .port = 53}};
  RouteConfig route;
  route.backends = {{.kind = Backend::Kind::address,
                     .endpoint = {.ip = IpAddress::v4(10, 0, 0, 5), .port = 443},
                     .host = {},
                     .port = 0,
                     .text = "10.0.0.5:443"}};
  config.routes = {route};
  const auto needed = needed_sources(config);
  REQUIRE(needed);
  const auto has = [&](const IpAddress& address, const std::string& what) {
    return std::ranges::any_of(*needed, [&](const NeededSource& source) {
      return source.address == address && source.what == what;
    });
  };
  CHECK(has(IpAddress::v4(127, 0, 0, 1), "an address of this host"));
  CHECK(has(IpAddress::v4(192, 0, 2, 53), "a resolver"));
  CHECK(has(IpAddress::v4(10, 0, 0, 5), "the backend 10.0.0.5:443"));
}
