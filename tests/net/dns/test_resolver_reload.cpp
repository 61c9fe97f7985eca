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

TEST_CASE("after a reload to other servers cached answers are asked for again but may stand in") {
  DnsServer before;
  DnsServer dns;
  before.set_addresses("web.example", {"192.0.2.1"});
  before.set_addresses("shop.example", {"192.0.2.2"});
  ResolverDriver loop(asking({&before}));
  CHECK(loop.ask("web.example"));
  CHECK(loop.ask("shop.example"));
  REQUIRE(loop.resolver().reload(asking({&dns}), shared({}), loop.now_ms()));
  dns.set_addresses("web.example", {"192.0.2.9"});
  dns.set("shop.example", server_failure);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.9"}));
  CHECK(loop.ask("shop.example") == stale(addresses({"192.0.2.2"})));
}

TEST_CASE("a reload that changes nothing by value asks nothing again") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  dns.set("slow.example", silent);
  DnsConfig config = asking({&dns});
  config.timeout = std::chrono::seconds(60);
  ResolverDriver loop(config, with_hosts("10.0.0.1 shop"));
  CHECK(loop.ask("web.example"));
  CHECK_FALSE(loop.resolver().resolve("slow.example", Source::client, 1, loop.now_ms()));
  REQUIRE(loop.run([&] { return dns.asked_in_all() == 4; }));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(loop.resolver().reload(config, shared(with_hosts("10.0.0.1 shop")), loop.now_ms()));
  }
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  // Other hosts are no reason to ask again either.
  REQUIRE(loop.resolver().reload(config, shared(with_hosts("10.0.0.2 shop")), loop.now_ms()));
  CHECK(loop.ask("shop") == addresses({"10.0.0.2"}));
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  loop.run_for(100);
  CHECK(dns.asked_in_all() == 4);
}

TEST_CASE("a reload to one family gives no address of the other any more") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1", "2001:db8::1"});
  DnsConfig config = asking({&dns});
  ResolverDriver loop(config, with_hosts("10.0.0.1 shop\n2001:db8::2 shop"));
  CHECK(loop.ask("web.example") == addresses({"2001:db8::1", "192.0.2.1"}));
  config.family = AddressFamilies::ipv4;
  REQUIRE(loop.resolver().reload(config, shared(with_hosts("10.0.0.1 shop\n2001:db8::2 shop")),
                                 loop.now_ms()));
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  CHECK(loop.ask("shop") == addresses({"10.0.0.1"}));
  CHECK(loop.ask("localhost") == addresses({"127.0.0.1"}));
  CHECK(dns.asked("web.example", DnsType::aaaa) == 1);
}
