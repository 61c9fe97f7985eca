// Resolvers of several workers, and of successive processes, share DNS_CACHE.

#include <doctest/doctest.h>
#include <unistd.h>

#include "net/dns/resolver.h"
#include "support/dns_pins.h"
#include "support/dns_setup.h"
#include "support/resolution.h"
#include "support/resolver_driver.h"
#include "support/skip.h"

using namespace sni;
using namespace sni::test;

namespace {

using Source = Resolver::Source;

constexpr std::uint32_t names_max = 1024;

std::optional<DnsMap> new_map() {
  auto map = DnsMap::create(names_max);
  REQUIRE_MESSAGE(map, map.error().what);
  return std::move(*map);
}

std::optional<DnsMap> pinned_map(const DnsPins& pins) {
  auto map = DnsMap::open_pinned(pins.path, names_max);
  REQUIRE_MESSAGE(map, map.error().what);
  return std::move(*map);
}

bool is_root() {
  if (geteuid() == 0) return true;
  skip("needs root");
  return false;
}

}  // namespace

TEST_CASE("the answers of one worker are found by the others, without a question") {
  if (!is_root()) return;
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1", "2001:db8::1"});
  const auto map = new_map();
  ResolverDriver first(asking({&dns}), {}, &*map);
  ResolverDriver second(asking({&dns}), {}, &*map);
  CHECK(first.ask("web.example") == addresses({"2001:db8::1", "192.0.2.1"}));
  CHECK(second.ask("web.example") == addresses({"2001:db8::1", "192.0.2.1"}));
  CHECK(dns.asked_in_all() == 2);
  CHECK(second.resolver().counters().shared_hits.value() == 1);
  CHECK(second.resolver().counters().questions.value() == 0);
  CHECK(second.ask("web.example"));  // From its own cache now.
  CHECK(second.resolver().counters().shared_hits.value() == 1);
  CHECK(second.resolver().counters().cache_hits.value() == 1);
}

TEST_CASE("a shared answer expires with its TTL, whoever has taken it over and when") {
  if (!is_root()) return;
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"}, 60);
  const auto map = new_map();
  ResolverDriver first(asking({&dns}), {}, &*map);
  ResolverDriver second(asking({&dns}), {}, &*map);
  ResolverDriver third(asking({&dns}), {}, &*map);
  CHECK(first.ask("web.example"));
  second.put_forward(55'000);
  CHECK(second.ask("web.example"));
  CHECK(dns.asked("web.example", DnsType::a) == 1);
  second.put_forward(10'000);
  CHECK(second.ask("web.example"));
  CHECK(dns.asked("web.example", DnsType::a) == 2);
  third.put_forward(130'000);
  CHECK(third.ask("web.example"));
  CHECK(dns.asked("web.example", DnsType::a) == 3);
  CHECK(third.resolver().counters().shared_hits.value() == 0);
}

TEST_CASE("a record under the hash of another name costs a question and misroutes no client") {
  if (!is_root()) return;
  DnsServer dns;
  dns.set_addresses("a.example", {"192.0.2.1"});
  dns.set_addresses("b.example", {"192.0.2.2"});
  const DnsPins pins;
  const auto map = pinned_map(pins);
  ResolverDriver first(asking({&dns}), {}, &*map);
  CHECK(first.ask("a.example") == addresses({"192.0.2.1"}));
  pins.collide("b.example.");
  ResolverDriver second(asking({&dns}), {}, &*map);
  CHECK(second.ask("b.example") == addresses({"192.0.2.2"}));
  CHECK(dns.asked("b.example", DnsType::a) == 1);
}

TEST_CASE("a restart with a pin answers while the resolvers are silent") {
  if (!is_root()) return;
  const DnsPins pins;
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  {
    const auto map = pinned_map(pins);
    ResolverDriver before(asking({&dns}), {}, &*map);
    CHECK(before.ask("web.example", Source::configuration) == addresses({"192.0.2.1"}));
  }
  dns.set("web.example", silent);
  const auto map = pinned_map(pins);
  ResolverDriver after(asking({&dns}), {}, &*map);
  CHECK(after.ask("web.example", Source::configuration) == addresses({"192.0.2.1"}));
  CHECK(dns.asked("web.example", DnsType::a) == 1);
  // Without the map there would have been none.
  ResolverDriver alone(asking({&dns}));
  CHECK(alone.ask("web.example", Source::configuration) == unanswered);
}

TEST_CASE("answers of other resolvers, and under another search list, are not taken over") {
  if (!is_root()) return;
  DnsServer dns;
  DnsServer other;
  dns.set_addresses("web.example", {"192.0.2.1"});
  other.set_addresses("web.example", {"192.0.2.2"});
  dns.set_addresses("web.one.test", {"192.0.2.3"});
  dns.set_addresses("web.two.test", {"192.0.2.4"});
  const auto map = new_map();
  ResolverDriver first(asking({&dns}), with_resolv_conf("search one.test"), &*map);
  ResolverDriver elsewhere(asking({&other}), with_resolv_conf("search one.test"), &*map);
  ResolverDriver searching(asking({&dns}), with_resolv_conf("search two.test"), &*map);
  CHECK(first.ask("web.example") == addresses({"192.0.2.1"}));
  CHECK(elsewhere.ask("web.example") == addresses({"192.0.2.2"}));
  CHECK(first.ask("web", Source::configuration) == addresses({"192.0.2.3"}));
  CHECK(searching.ask("web", Source::configuration) == addresses({"192.0.2.4"}));
}

TEST_CASE("after a reload to another manner of asking nothing counts that was stored before it") {
  if (!is_root()) return;
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  const auto map = new_map();
  ResolverDriver loop(asking({&dns}), {}, &*map);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
  dns.set_addresses("web.example", {"192.0.2.2"});
  DnsConfig patient = asking({&dns});
  patient.timeout = std::chrono::milliseconds(300);
  REQUIRE(loop.resolver().reload(patient, shared({}), loop.now_ms()));
  CHECK(loop.ask("web.example") == addresses({"192.0.2.2"}));
  loop.run_for(2);
  ResolverDriver second(asking({&dns}), {}, &*map);
  CHECK(second.ask("web.example") == addresses({"192.0.2.2"}));
  CHECK(dns.asked("web.example", DnsType::a) == 2);
}

TEST_CASE("failures and names that do not exist stay with the worker that met them") {
  if (!is_root()) return;
  DnsServer dns;
  dns.set("broken.example", server_failure);
  const auto map = new_map();
  ResolverDriver first(asking({&dns}), {}, &*map);
  ResolverDriver second(asking({&dns}), {}, &*map);
  for (const char* name : {"gone.example", "broken.example"}) {
    CHECK(first.ask(name));
    const std::size_t asked = dns.asked(name, DnsType::a);
    CHECK(second.ask(name));
    CHECK(dns.asked(name, DnsType::a) == 2 * asked);
  }
}
