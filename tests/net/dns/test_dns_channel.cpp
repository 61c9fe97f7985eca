#include "net/dns/dns_channel.h"

#include <doctest/doctest.h>

#include <utility>

#include "support/dns_setup.h"
#include "support/resolution.h"
#include "support/resolver_driver.h"

using namespace sni;
using namespace sni::test;

namespace {

using Status = Resolution::Status;
using Source = Resolver::Source;
using Manner = DnsAnswer::Manner;

}  // namespace

TEST_CASE("a truncated answer is asked for again over TCP") {
  DnsServer dns;
  DnsAnswer answer{.manner = Manner::truncated};
  for (int i = 1; i <= 100; ++i) {
    answer.records.push_back({.type = DnsType::a, .data = "192.0.2." + std::to_string(i)});
  }
  dns.set("web.example", DnsType::a, answer);
  dns.set("web.example", DnsType::aaaa, {});
  ResolverDriver loop(asking({&dns}));
  const auto found = loop.ask("web.example");
  REQUIRE(found);
  CHECK(found->status == Status::ok);
  CHECK(found->count() == 100);
  CHECK(dns.asked_over_tcp() == 1);
}

TEST_CASE("garbage and answers that match no question are not believed") {
  for (const Manner manner : {Manner::garbage, Manner::wrong_id}) {
    DnsServer dns;
    DnsAnswer answer = a("192.0.2.66");
    answer.manner = manner;
    dns.set("web.example", answer);
    ResolverDriver loop(asking({&dns}));
    CHECK(loop.ask("web.example") == (manner == Manner::garbage ? failed : unanswered));
  }
}

TEST_CASE("another server is asked where one is silent, fails, refuses or is not there") {
  for (const DnsAnswer& trouble :
       {silent, server_failure, DnsAnswer{.rcode = DnsAnswer::refused}}) {
    DnsServer bad;
    DnsServer good;
    bad.set("web.example", trouble);
    good.set_addresses("web.example", {"192.0.2.1"});
    ResolverDriver loop(asking({&bad, &good}));
    CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
    CHECK(bad.asked("web.example", DnsType::a) == 1);
  }
  DnsServer good;
  good.set_addresses("web.example", {"192.0.2.1"});
  DnsConfig config = asking({&good});
  config.servers.insert(config.servers.begin(), {.ip = *parse_ip("127.0.0.1"), .port = 1});
  ResolverDriver loop(config);
  CHECK(loop.ask("web.example") == addresses({"192.0.2.1"}));
}

TEST_CASE("every watch has an id of its own, and dead ids are ignored") {
  DnsServer dns;
  ResolverDriver loop(asking({&dns}));
  for (int i = 0; i < 20; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    dns.set(name, DnsAnswer{.records = {{.type = DnsType::a, .data = "192.0.2.1"}},
                            .manner = i % 2 == 0 ? Manner::truncated : Manner::proper});
    CHECK(loop.ask(name));
    for (std::uint32_t id = 0; id <= loop.last_id + 1; ++id) {
      if (!loop.watches.contains(id)) {
        loop.resolver().on_ready(id, true, true, loop.now_ms());
      }
    }
  }
  REQUIRE(loop.resolver().reload(asking({&dns}), shared({}), loop.now_ms()));
  CHECK(loop.watches.empty());
  CHECK(loop.ask("again.example"));
  CHECK_FALSE(loop.repeated_id);
  CHECK_FALSE(loop.unknown_unwatched);
}

TEST_CASE("sockets that are closed while they are watched are unwatched first") {
  DnsServer dns;
  dns.set("web.example", silent);
  ResolverDriver loop(asking({&dns}));
  // Closed after its timeout, with no readiness reported.
  CHECK(loop.ask("web.example") == unanswered);
  CHECK(loop.watches.empty());
  // Closed by the reload, in favour of another.
  CHECK_FALSE(loop.resolver().resolve("n1.example", Source::client, 1, loop.now_ms()));
  REQUIRE(loop.watches.size() == 1);
  const std::uint32_t old_id = loop.last_id;
  DnsConfig patient = asking({&dns});
  patient.timeout = std::chrono::milliseconds(300);
  REQUIRE(loop.resolver().reload(patient, shared({}), loop.now_ms()));
  CHECK(loop.watches.size() == 1);
  CHECK_FALSE(loop.watches.contains(old_id));
  REQUIRE(loop.run([&] { return loop.answers.contains(1); }));
  CHECK(loop.answers[1] == not_found);
}

TEST_CASE("readiness that is reported without reason does no harm") {
  DnsServer dns;
  dns.set_addresses("web.example", {"192.0.2.1"});
  ResolverDriver loop(asking({&dns}));
  CHECK_FALSE(loop.resolver().resolve("web.example", Source::client, 1, loop.now_ms()));
  for (int i = 0; i < 10; ++i) {
    const auto watches = std::exchange(loop.watches, {});
    for (const auto& [id, watched] : watches) {
      loop.resolver().on_ready(id, false, false, loop.now_ms());
    }
  }
  REQUIRE(loop.run([&] { return loop.answers.contains(1); }));
  CHECK(loop.answers[1] == addresses({"192.0.2.1"}));
}
