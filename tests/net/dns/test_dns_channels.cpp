#include "net/dns/dns_channels.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "support/dns_setup.h"
#include "support/resolution.h"
#include "support/resolver_driver.h"

using namespace sni;
using namespace sni::test;

namespace {

using Source = Resolver::Source;

// One family, so that each name is one packet.
DnsConfig one_packet_each(const DnsServer& dns) {
  DnsConfig config = asking({&dns});
  config.family = AddressFamilies::ipv4;
  config.timeout = std::chrono::seconds(20);
  return config;
}

std::set<std::uint16_t> ports_of(DnsServer& dns) {
  const auto ports = dns.source_ports();
  return {ports.begin(), ports.end()};
}

void begin(ResolverDriver& loop, int number) {
  const std::string name = "n" + std::to_string(number) + ".example";
  CHECK_FALSE(loop.resolver().resolve(name, Source::client, static_cast<std::uint64_t>(number),
                                      loop.now_ms()));
}

}  // namespace

TEST_CASE("questions that are under way at once have ports of their own") {
  DnsServer dns;
  constexpr int questions = limits::dns_channels_max;
  for (int i = 1; i <= questions; ++i) dns.set("n" + std::to_string(i) + ".example", silent);
  ResolverDriver loop(one_packet_each(dns));
  for (int i = 1; i <= questions; ++i) begin(loop, i);
  REQUIRE(loop.run([&] { return dns.asked_in_all() == questions; }));
  CHECK(ports_of(dns).size() == questions);
}

TEST_CASE("a question after another one has a new port") {
  DnsServer dns;
  constexpr int questions = 20;
  ResolverDriver loop(one_packet_each(dns));
  for (int i = 0; i < questions; ++i) {
    loop.ask("n" + std::to_string(i) + ".example");
  }
  // The kernel may choose the same port twice in a row by chance.
  CHECK(ports_of(dns).size() > questions / 2);
}

TEST_CASE("a port that has served for long enough is given up although questions never end") {
  DnsServer dns;
  ResolverDriver loop(one_packet_each(dns));
  // Always keeps more questions under way than there are channels.
  int begun = 0;
  constexpr int at_once = 2 * limits::dns_channels_max;
  constexpr int rounds = 4 * limits::dns_channel_questions;
  for (int i = 0; i < at_once; ++i) begin(loop, ++begun);
  for (int round = 0; round < rounds; ++round) {
    const std::size_t answered = loop.answers.size();
    REQUIRE(loop.run([&] { return loop.answers.size() > answered; }));
    while (begun - static_cast<int>(loop.answers.size()) < at_once) begin(loop, ++begun);
  }
  CHECK(ports_of(dns).size() > limits::dns_channels_max);
}

TEST_CASE("more questions than channels are all answered") {
  DnsServer dns;
  dns.set_addresses("n1.example", {"192.0.2.1"});
  constexpr int questions = 10 * limits::dns_channels_max;
  ResolverDriver loop(asking({&dns}));
  for (int i = 1; i <= questions; ++i) begin(loop, i);
  REQUIRE(loop.run([&] { return loop.answers.size() == questions; }));
  CHECK(loop.answers[1] == addresses({"192.0.2.1"}));
  CHECK(loop.answers[2] == not_found);
}
