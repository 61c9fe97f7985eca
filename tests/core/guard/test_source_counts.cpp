#include "core/guard/source_counts.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace sni;

namespace {

IpAddress address(std::string_view text) {
  return parse_ip(text).value();
}

}  // namespace

TEST_CASE("a source has as many connections as the limit allows, and room again when one ends") {
  SourceCounts counts;
  const IpAddress source = address("192.0.2.1");
  CHECK(counts.acquire(source, 2));
  CHECK(counts.acquire(source, 2));
  CHECK_FALSE(counts.acquire(source, 2));
  counts.release(source);
  CHECK(counts.acquire(source, 2));
  CHECK_FALSE(counts.acquire(source, 2));
}

TEST_CASE("a refused connection is not counted") {
  SourceCounts counts;
  const IpAddress source = address("192.0.2.1");
  CHECK(counts.acquire(source, 1));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(counts.acquire(source, 1));
  counts.release(source);
  CHECK(counts.acquire(source, 1));
}

TEST_CASE(
    "IPv4 and link-local addresses count each for itself, other IPv6 addresses by their /64") {
  SourceCounts counts;
  CHECK(counts.acquire(address("192.0.2.1"), 1));
  CHECK(counts.acquire(address("192.0.2.2"), 1));
  CHECK(counts.acquire(address("2001:db8:0:1::1"), 1));
  CHECK_FALSE(counts.acquire(address("2001:db8:0:1:ffff::2"), 1));
  CHECK(counts.acquire(address("2001:db8:0:2::1"), 1));
  CHECK(counts.acquire(address("fe80::1"), 1));
  CHECK(counts.acquire(address("fe80::2"), 1));
  CHECK_FALSE(counts.acquire(address("fe80::2"), 1));
  counts.release(address("2001:db8:0:1:8000::"));
  CHECK(counts.acquire(address("2001:db8:0:1::1"), 1));
}

TEST_CASE("a limit lowered by a reload holds for newcomers only") {
  SourceCounts counts;
  const IpAddress source = address("192.0.2.1");
  for (int i = 0; i < 3; ++i) CHECK(counts.acquire(source, 3));
  CHECK_FALSE(counts.acquire(source, 1));
  for (int i = 0; i < 3; ++i) counts.release(source);
  CHECK(counts.acquire(source, 1));
}

TEST_CASE("threads together never exceed the limit") {
  constexpr std::uint32_t limit = 3;
  SourceCounts counts;
  const IpAddress source = address("192.0.2.1");
  std::atomic<std::uint32_t> open{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2'000; ++round) {
        if (!counts.acquire(source, limit)) continue;
        if (open.fetch_add(1) >= limit) exceeded = true;
        open.fetch_sub(1);
        counts.release(source);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(exceeded);
  for (std::uint32_t i = 0; i < limit; ++i) CHECK(counts.acquire(source, limit));
  CHECK_FALSE(counts.acquire(source, limit));
}
