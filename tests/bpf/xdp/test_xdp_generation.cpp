#include "bpf/xdp/xdp_generation.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/guarded.h"
#include "tests/support/packet_builder.h"

using namespace sni;
using namespace sni::test;

namespace {

std::map<std::string, std::uint64_t> hits_of(Guarded& guarded) {
  std::map<std::string, std::uint64_t> hits;
  for (const XdpHits& hit : guarded.generation().hits()) {
    hits[hit.prefix.to_string() + (hit.ban ? " ban" : "")] = hit.packets;
  }
  return hits;
}

}  // namespace

TEST_CASE("hits are counted for each entry that drops packets and for no other") {
  Guarded guarded({blocked("192.0.2.7"), blocked("198.51.100.0/24"), blocked("2001:db8::/32"),
                   blocked("2001:db8:1::7"), blocked("203.0.113.0/24"), allowed("203.0.113.1")});
  REQUIRE(
      guarded.generation().ban({.source = prefix("192.0.2.200"), .until = guard_never_expires}));
  REQUIRE(guarded.generation().ban({.source = prefix("fd00::/64"), .until = guard_never_expires}));
  for (int i = 0; i < 3; ++i) guarded.judge_v4("192.0.2.7");
  for (int i = 0; i < 5; ++i) guarded.judge_v4("198.51.100." + std::to_string(i));
  guarded.judge_v6("2001:db8::1");
  // Merged into the prefix around it, so counted there.
  guarded.judge_v6("2001:db8:1::7");
  guarded.judge_v4("203.0.113.1");
  guarded.judge_v4("192.0.2.200");
  guarded.judge_v6("fd00::5");
  CHECK(hits_of(guarded) == std::map<std::string, std::uint64_t>{{"192.0.2.7", 3},
                                                                 {"198.51.100.0/24", 5},
                                                                 {"2001:db8::/32", 2},
                                                                 {"192.0.2.200 ban", 1},
                                                                 {"fd00::/64 ban", 1}});
}

TEST_CASE("a change is seen by the next packet and hits of entries that stay go on") {
  Guarded guarded({blocked("198.51.100.0/24")});
  CHECK(guarded.judge_v4("198.51.100.1") == GUARD_DROP_BLOCKED);
  guarded.set(blocked("198.51.101.0/24"));  // Joins with the first to a /23.
  CHECK(guarded.judge_v4("198.51.100.1") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("198.51.101.1") == GUARD_DROP_BLOCKED);
  CHECK(hits_of(guarded) == std::map<std::string, std::uint64_t>{{"198.51.100.0/23", 2}});

  guarded.set(blocked("198.51.100.0/24", 0));
  CHECK(guarded.judge_v4("198.51.100.1") == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("198.51.101.1") == GUARD_DROP_BLOCKED);

  guarded.set(blocked("192.0.2.7"));
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_DROP_BLOCKED);
  guarded.set(blocked("192.0.2.7", boot_time() + 60));
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_DROP_BLOCKED);
  CHECK(hits_of(guarded)["192.0.2.7"] == 2);
  guarded.set(blocked("192.0.2.7", 0));
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_PASS_UNLISTED);
}

TEST_CASE("unblocking a prefix leaves the addresses inside it that are blocked by themselves") {
  Guarded guarded({blocked("192.0.2.0/24"), blocked("192.0.2.7"), blocked("192.0.2.64/26")});
  CHECK(guarded.judge_v4("192.0.2.1") == GUARD_DROP_BLOCKED);
  guarded.set(blocked("192.0.2.0/24", 0));
  CHECK(guarded.judge_v4("192.0.2.1") == GUARD_PASS_UNLISTED);
  CHECK(guarded.judge_v4("192.0.2.7") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("192.0.2.65") == GUARD_DROP_BLOCKED);
}

TEST_CASE("more prefixes than counters are still blocked and counted") {
  Guarded guarded({});
  // One more than the spare slots of an empty generation, none of which can be joined.
  for (unsigned i = 0; i < 4097; ++i) {
    const IpAddress base =
        IpAddress::v4(100, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i), 0);
    REQUIRE(guarded.generation().apply({.prefix = {.base = base, .length = 121},
                                        .term = GuardTerm{.block_until = guard_never_expires}}));
  }
  CHECK(guarded.judge_v4("100.0.0.1") == GUARD_DROP_BLOCKED);
  CHECK(guarded.judge_v4("100.16.0.1") == GUARD_DROP_BLOCKED);
  CHECK(hits_of(guarded) ==
        std::map<std::string, std::uint64_t>{{"100.0.0.0/25", 1}, {"100.16.0.0/25", 1}});
  while (guarded.generation().drain_some()) {
  }
  CHECK(guarded.judge_v4("100.16.0.1") == GUARD_PASS_UNLISTED);
}

TEST_CASE("while generations are swapped no packet slips through") {
  Guarded guarded({blocked("192.0.2.7"), blocked("198.51.100.0/24"), blocked("2001:db8::/32")});
  std::atomic<bool> stop{false};
  std::vector<std::jthread> senders;
  for (const Bytes& frame :
       {packet(Ethernet{}, Ipv4{.source = "192.0.2.7"}, Tcp{}),
        packet(Ethernet{}, Ipv4{.source = "198.51.100.9"}, Tcp{}),
        packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::9"}, Tcp{})}) {
    senders.emplace_back([&guarded, &stop, frame]() mutable {
      while (!stop) {
        bpf_test_run_opts options{.sz = sizeof options,
                                  .data_in = frame.data(),
                                  .data_size_in = static_cast<std::uint32_t>(frame.size()),
                                  .repeat = 1000};
        if (bpf_prog_test_run_opts(guarded.filter().program_fd(), &options) != 0) return;
      }
    });
  }
  for (int swaps = 0; swaps < 8; ++swaps) guarded.activate({.listener_ports = {443}});
  stop = true;
  senders.clear();
  const XdpCounters counters = *guarded.filter().counters();
  CHECK(counters.total(GUARD_DROP_BLOCKED) > 1000);
  CHECK(counters.total(GUARD_PASS_UNLISTED) == 0);
  CHECK(counters.total(GUARD_PASS_NOT_PARSED) == 0);
}
