#include "net/dns/resolver.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/dns_setup.h"
#include "support/resolution.h"
#include "support/resolver_driver.h"

using namespace sni;
using namespace sni::test;

namespace {

using Status = Resolution::Status;
using Source = Resolver::Source;

}  // namespace

TEST_CASE("addresses, hosts and localhost are answered without a question") {
  DnsServer dns;
  ResolverDriver loop(asking({&dns}), with_hosts("10.0.0.5 shop\n127.0.0.9 moved.localhost"));
  Resolver& resolver = loop.resolver();
  CHECK(resolver.resolve("192.0.2.1", Source::client, 1, 0) == addresses({"192.0.2.1"}));
  CHECK(resolver.resolve("2001:db8::1", Source::client, 1, 0) == addresses({"2001:db8::1"}));
  CHECK(resolver.resolve("Shop", Source::client, 1, 0) == addresses({"10.0.0.5"}));
  CHECK(resolver.resolve("shop.", Source::configuration, 1, 0) == addresses({"10.0.0.5"}));
  CHECK(resolver.resolve("localhost", Source::client, 1, 0) == addresses({"::1", "127.0.0.1"}));
  CHECK(resolver.resolve("a.localhost", Source::client, 1, 0) == addresses({"::1", "127.0.0.1"}));
  CHECK(resolver.resolve("moved.localhost", Source::client, 1, 0) == addresses({"127.0.0.9"}));
  CHECK(dns.asked_in_all() == 0);
}

TEST_CASE("what is not a host name is not found and never asked") {
  DnsServer dns;
  ResolverDriver loop(asking({&dns}));
  for (const std::string& name :
       {std::string(), std::string("a..b"), std::string("127.1"), std::string("0x7f.1"),
        std::string("a b"), std::string("a\0b", 3), std::string(254, 'a'), std::string(70, 'a'),
        std::string("\xff\xfe"), std::string("*.example")}) {
    CHECK(loop.resolver().resolve(name, Source::client, 1, 0) == not_found);
  }
  CHECK(dns.asked_in_all() == 0);
}

TEST_CASE("A and AAAA come in turns, IPv6 first") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1", "192.0.2.2", "2001:db8::1"});
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("web.example") == addresses({"2001:db8::1", "192.0.2.1", "192.0.2.2"}));
}

TEST_CASE("a name with one family has the addresses of that one") {
  DnsServer dns;
  dns.set_addresses("four.example", {"192.0.2.1"});
  dns.set_addresses("six.example", {"2001:db8::1"});
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("four.example") == addresses({"192.0.2.1"}));
  CHECK(loop.ask("six.example") == addresses({"2001:db8::1"}));
}

TEST_CASE("aliases are followed, and the shortest TTL of the chain holds") {
  DnsServer dns;
  dns.set_addresses("web.example", {});
  dns.set("web.example", DnsType::a,
          {.records = {{.type = DnsType::cname, .data = "real.example", .ttl_s = 5},
                       {.type = DnsType::a, .data = "192.0.2.1", .owner = "real.example"}}});
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  loop.put_forward(4'000);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  CHECK(dns.asked("web.example", DnsType::a) == 1);
  loop.put_forward(2'000);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  CHECK(dns.asked("web.example", DnsType::a) == 2);
}

TEST_CASE("an answer is asked for once in its TTL") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"}, 60);
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("web.example"));
  CHECK(loop.ask("WEB.example."));
  loop.put_forward(55'000);
  CHECK(loop.ask("web.example"));
  CHECK(dns.asked_in_all() == 2);
  CHECK(loop.resolver().counters().cache_hits.value() == 2);
  loop.put_forward(10'000);
  CHECK(loop.ask("web.example"));
  CHECK(dns.asked_in_all() == 4);
}

TEST_CASE("a name that does not exist is remembered for a short time") {
  DnsServer dns;
  dns.set_addresses("empty.example", {});
  ResolverDriver loop(asking({&dns}));
  const Resolution no_address{.status = Resolution::Status::no_address};
  for (const auto& [name, expected] :
       {std::pair("gone.example", not_found), std::pair("empty.example", no_address)}) {
    CHECK(loop.ask(name) == expected);
    CHECK(loop.ask(name) == expected);
    CHECK(dns.asked(name, DnsType::a) == 1);
  }
  loop.put_forward(6'000);
  dns.set_addresses("gone.example", {"192.0.2.1"});
  CHECK(loop.ask("gone.example") == addresses({"192.0.2.1"}));
}

TEST_CASE("a failure is remembered for a short time") {
  DnsServer dns;
  dns.set("web.example", server_failure);
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("web.example") == failed);
  const std::size_t asked = dns.asked_in_all();
  CHECK(loop.ask("web.example") == failed);
  CHECK(dns.asked_in_all() == asked);
  loop.put_forward(6'000);
  dns.set_addresses("web.example", {"192.0.2.1"});
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
}

TEST_CASE("a family that fails does not take the other with it, and is tried again soon") {
  DnsServer dns;
  dns.set("web.example", DnsType::a, a("192.0.2.1"));
  for (const DnsAnswer& trouble : {server_failure, silent}) {
    dns.set("web.example", DnsType::aaaa, trouble);
    ResolverDriver loop(asking({&dns}));
    CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
    REQUIRE(loop.run([&] { return !loop.resolver().next_deadline_ms(0); }));
    const std::size_t asked = dns.asked("web.example", DnsType::a);
    CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
    CHECK(dns.asked("web.example", DnsType::a) == asked);
    loop.put_forward(6'000);
    CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
    CHECK(dns.asked("web.example", DnsType::a) == asked + 1);
  }
}

TEST_CASE("no data beside a failure is a failure, in either order") {
  DnsServer dns;
  dns.set("six.example", DnsType::aaaa, {});
  dns.set("six.example", DnsType::a, server_failure);
  dns.set("four.example", DnsType::aaaa, server_failure);
  dns.set("four.example", DnsType::a, {});
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("six.example") == failed);
  CHECK(loop.ask("four.example") == failed);
}

TEST_CASE("a late family does not hold back the other, nor those who ask in the meantime") {
  DnsServer dns;
  dns.set("web.example", DnsType::a, a("192.0.2.1"));
  dns.set("web.example", DnsType::aaaa, silent);
  DnsConfig config = asking({&dns});
  config.timeout = std::chrono::seconds(60);
  ResolverDriver loop(config);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  CHECK(loop.resolver().resolve("web.example", Source::client, 1, loop.now_ms()) ==
        addresses({"192.0.2.1"}));
}

TEST_CASE("a stale answer stands in while the resolvers fail or are silent") {
  for (const DnsAnswer& trouble : {server_failure, silent}) {
    DnsServer dns;
    dns.set_addresses("web.example", {"192.0.2.1"}, 60);
    ResolverDriver loop(asking({&dns}));
    CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
    loop.put_forward(61'000);
    dns.set("web.example", trouble);
    CHECK(loop.ask("web.example") == stale(addresses({"192.0.2.1"})));
    REQUIRE(loop.run([&] { return !loop.resolver().next_deadline_ms(0); }));
    const std::size_t asked = dns.asked_in_all();
    CHECK(loop.ask("web.example") == stale(addresses({"192.0.2.1"})));
    CHECK(dns.asked_in_all() == asked);
    loop.put_forward(6'000);
    dns.set_addresses("web.example", {"192.0.2.2"}, 60);
    CHECK(loop.ask("web.example") == addresses({"192.0.2.2"}));
  }
}

TEST_CASE("a stale answer does not wait for the resolvers' timeouts") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"}, 60);
  DnsConfig config = asking({&dns});
  config.timeout = std::chrono::seconds(60);
  ResolverDriver loop(config);
  CHECK(loop.ask("web.example"));
  loop.put_forward(61'000);
  dns.set("web.example", silent);
  CHECK(loop.ask("web.example") == stale(addresses({"192.0.2.1"})));
  CHECK(loop.resolver().resolve("web.example", Source::client, 1, loop.now_ms()) ==
        stale(addresses({"192.0.2.1"})));
}

TEST_CASE("a name that is gone is not served stale, and neither is one too old") {
  DnsServer dns;
  dns.set_addresses("gone.example", {"192.0.2.1"}, 60);
  dns.set_addresses("old.example", {"192.0.2.1"}, 60);
  ResolverDriver loop(asking({&dns}));
  CHECK(loop.ask("gone.example"));
  CHECK(loop.ask("old.example"));
  loop.put_forward(61'000);
  dns.set("gone.example", {.rcode = DnsAnswer::no_such_name});
  CHECK(loop.ask("gone.example") == not_found);
  loop.put_forward(3'600'000);
  dns.set("old.example", server_failure);
  CHECK(loop.ask("old.example") == failed);
}

TEST_CASE("callers with one name share one question") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  ResolverDriver loop(asking({&dns}));
  for (Resolver::Waiter waiter = 1; waiter <= 5'000; ++waiter) {
    REQUIRE_FALSE(loop.resolver().resolve("web.example", Source::client, waiter, loop.now_ms()));
  }
  REQUIRE(loop.run([&] { return loop.answers.size() == 5'000; }));
  CHECK(std::ranges::all_of(
      loop.answers, [](const auto& answer) { return answer.second == addresses({"192.0.2.1"}); }));
  CHECK(dns.asked_in_all() == 2);
  CHECK(loop.resolver().counters().questions.value() == 1);
  CHECK(loop.resolver().counters().merged.value() == 4'999);
}

TEST_CASE("no waiter is answered from within resolve, and each exactly once") {
  DnsConfig config = asking({});
  config.servers = {{.ip = *parse_ip("127.0.0.1"), .port = 1}};  // Nobody listens there.
  ResolverDriver loop(config);
  REQUIRE_FALSE(loop.resolver().resolve("web.example", Source::client, 7, loop.now_ms()));
  REQUIRE(loop.run([&] { return loop.answers.contains(7); }));
  CHECK(loop.answers[7].count() == 0);
  CHECK_FALSE(loop.resolver().take_answer());
}

TEST_CASE("a waiter that cancels gets no answer; the others do, and the question fills the cache") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  ResolverDriver loop(asking({&dns}));
  Resolver& resolver = loop.resolver();
  for (Resolver::Waiter waiter = 1; waiter <= 4; ++waiter) {
    CHECK_FALSE(resolver.resolve("web.example", Source::client, waiter, loop.now_ms()));
  }
  resolver.cancel(1);
  resolver.cancel(4);
  resolver.cancel(4);
  resolver.cancel(99);
  REQUIRE(loop.run([&] { return loop.answers.size() == 2; }));
  CHECK(loop.answers.contains(2));
  CHECK(loop.answers.contains(3));
  CHECK(resolver.resolve("web.example", Source::client, 1, loop.now_ms()));
}

TEST_CASE("questions are bounded, for clients and configuration apart") {
  DnsServer dns;
  DnsConfig config = asking({&dns});
  config.timeout = std::chrono::seconds(60);
  ResolverDriver loop(config);
  Resolver& resolver = loop.resolver();
  Resolver::Waiter waiter = 0;
  for (std::size_t i = 0; i < limits::dns_questions_max; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    REQUIRE_FALSE(resolver.resolve(name, Source::client, ++waiter, loop.now_ms()));
  }
  const auto refused = resolver.resolve("more.example", Source::client, ++waiter, loop.now_ms());
  CHECK(refused == Resolution{.status = Status::overloaded});
  CHECK(resolver.counters().overloaded.value() == 1);
  CHECK_FALSE(resolver.resolve("n0.example", Source::client, ++waiter, loop.now_ms()));
  CHECK_FALSE(resolver.resolve("more.example", Source::configuration, ++waiter, loop.now_ms()));
}

TEST_CASE("waiters are bounded, and those who cancel make room") {
  DnsServer dns;
  dns.set("web.example", silent);
  DnsConfig config = asking({&dns});
  config.timeout = std::chrono::seconds(60);
  ResolverDriver loop(config);
  Resolver& resolver = loop.resolver();
  const std::uint64_t now_ms = loop.now_ms();
  for (Resolver::Waiter waiter = 1; waiter <= limits::dns_waiters_max; ++waiter) {
    REQUIRE_FALSE(resolver.resolve("web.example", Source::client, waiter, now_ms));
  }
  CHECK(resolver.resolve("web.example", Source::client, 0, now_ms)->status == Status::overloaded);
  resolver.cancel(1);
  CHECK_FALSE(resolver.resolve("web.example", Source::client, 0, now_ms));
  for (Resolver::Waiter waiter = 0; waiter <= limits::dns_waiters_max; ++waiter) {
    resolver.cancel(waiter);
  }
  CHECK_FALSE(resolver.resolve("web.example", Source::client, 0, now_ms));
}

TEST_CASE("configured names take the search list; names of clients never do") {
  DnsServer dns;
  dns.set_addresses("web.prod.cluster.local", {"10.0.0.5"});
  ResolverDriver loop(asking({&dns}),
                      with_resolv_conf("search a.example prod.cluster.local\noptions ndots:2"));
  CHECK(loop.ask("web", Source::configuration) == addresses({"10.0.0.5"}));
  CHECK(dns.asked("web.a.example", DnsType::a) == 1);
  CHECK(dns.asked("web", DnsType::a) == 0);
  CHECK(loop.ask("web", Source::client) == not_found);
  CHECK(dns.asked("web", DnsType::a) == 1);
  CHECK(loop.ask("web.", Source::configuration) == not_found);
  CHECK(dns.asked("web", DnsType::a) == 2);
  CHECK(dns.asked("web.prod.cluster.local", DnsType::a) == 1);
}

TEST_CASE("an address of one family only does not send the other down the search list") {
  DnsServer dns;
  dns.set_addresses("web.a.example", {"10.0.0.5"});
  dns.set_addresses("web.b.example", {"2001:db8::bad"});
  ResolverDriver loop(asking({&dns}), with_resolv_conf("search a.example b.example"));
  CHECK(loop.ask("web", Source::configuration) == addresses({"10.0.0.5"}));
}

TEST_CASE("without configured servers those of resolv.conf are asked") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  SystemNames system;
  system.resolv_conf.servers = {dns.endpoint()};
  ResolverDriver loop({.tries = 1}, system);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
}
