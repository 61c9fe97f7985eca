#include "net/dns/resolver.h"

#include <doctest/doctest.h>

#include "support/dns_setup.h"
#include "support/resolution.h"
#include "support/resolver_driver.h"

using namespace sni;
using namespace sni::test;

namespace {

using Source = Resolver::Source;

}  // namespace

TEST_CASE("an answer that is queued when its waiter cancels is not given to a later wait") {
  DnsServer dns;
  dns.set("first.example", silent);
  dns.set_addresses("later.example", {"192.0.2.2"});
  ResolverDriver loop(asking({&dns}));
  Resolver& resolver = loop.resolver();
  CHECK_FALSE(resolver.resolve("first.example", Source::client, 1, loop.now_ms()));
  // The new hosts file answers the question at once, so the answer is in the queue now.
  REQUIRE(resolver.reload(asking({&dns}), shared(with_hosts("192.0.2.1 first.example")),
                          loop.now_ms()));
  resolver.cancel(1);
  CHECK_FALSE(resolver.resolve("later.example", Source::client, 1, loop.now_ms()));
  REQUIRE(loop.run([&] { return loop.answers.contains(1); }));
  CHECK(loop.answers[1] == addresses({"192.0.2.2"}));
}

TEST_CASE("a reload takes new hosts and servers, and asks again what is under way") {
  DnsServer dead;
  DnsServer alive;
  dead.set("web.example", silent);
  alive.set_addresses("web.example", {"192.0.2.1"});
  DnsConfig config = asking({&dead});
  config.timeout = std::chrono::seconds(60);
  ResolverDriver loop(config, with_hosts("10.0.0.1 shop"));
  CHECK(loop.ask("shop") == addresses({"10.0.0.1"}));
  CHECK_FALSE(loop.resolver().resolve("web.example", Source::client, 1, loop.now_ms()));
  loop.run([&] { return dead.asked_in_all() == 2; });
  REQUIRE(
      loop.resolver().reload(asking({&alive}), shared(with_hosts("10.0.0.2 shop")), loop.now_ms()));
  REQUIRE(loop.run([&] { return loop.answers.contains(1); }));
  CHECK(loop.answers[1] == addresses({"192.0.2.1"}));
  CHECK(loop.ask("shop") == addresses({"10.0.0.2"}));
}

TEST_CASE("after a reload cached answers are asked for again but may stand in") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  dns.set_addresses("shop.example", {"192.0.2.2"});
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("web.example"));
  CHECK(loop.ask("shop.example"));
  REQUIRE(loop.resolver().reload(asking({&dns}), shared({}), loop.now_ms()));
  dns.set_addresses("web.example", {"192.0.2.9"});
  dns.set("shop.example", server_failure);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.9"}));
  CHECK(loop.ask("shop.example") == stale(addresses({"192.0.2.2"})));
}

TEST_CASE("a reload with a server that cannot be used changes nothing") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  ResolverDriver loop(asking({&dns}), with_hosts("10.0.0.1 shop"));
  DnsConfig bad;
  bad.servers = {{.ip = *parse_ip("fe80::1"), .port = 53, .scope = 1}};
  const auto result = loop.resolver().reload(bad, shared({}), loop.now_ms());
  REQUIRE_FALSE(result);
  CHECK(result.error().what.contains("link-local"));
  CHECK(loop.ask("shop") == addresses({"10.0.0.1"}));
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
}
