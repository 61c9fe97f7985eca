#include "core/session/counters.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace sni;

// ThreadSanitizer checks that a worker's counters may be read while it counts:
// tests/net/server/test_worker.cpp sums them under traffic. On x86 no assertion could show it.

TEST_CASE("a counter adds one, or a given number, and has more than 32 bits") {
  Counter counter;
  CHECK(counter.value() == 0);
  counter.add();
  counter.add(3);
  CHECK(counter.value() == 4);
  counter.add(std::uint64_t{1} << 40);
  CHECK(counter.value() == (std::uint64_t{1} << 40) + 4);
}

TEST_CASE("reading and counting take no lock") {
  CHECK(sizeof(Counter) == sizeof(std::uint64_t));
  CHECK(std::atomic<std::uint64_t>::is_always_lock_free);
}

TEST_CASE("every refusal, end and decline has its own name") {
  std::set<std::string> names;
  for (std::size_t i = 0; i < refusals; ++i) names.insert(to_string(static_cast<Refusal>(i)));
  CHECK(names.size() == refusals);
  names.clear();
  for (std::size_t i = 0; i < end_reasons; ++i) names.insert(to_string(static_cast<EndReason>(i)));
  CHECK(names.size() == end_reasons);
  names.clear();
  for (std::size_t i = 0; i < plane_declines; ++i) {
    names.insert(to_string(static_cast<PlaneDecline>(i)));
  }
  CHECK(names.size() == plane_declines);
}

TEST_CASE("a histogram counts each time in the bucket whose bound it does not pass, and sums") {
  SetUpTimes times;
  for (const std::uint64_t ms : {0UL, 1UL, 2UL, 3UL, 10'000UL, 10'001UL, 500'000UL}) times.add(ms);
  CHECK(times.bucket(0) == 2);
  CHECK(times.bucket(1) == 1);
  CHECK(times.bucket(2) == 1);
  CHECK(times.bucket(set_up_bounds_ms.size() - 1) == 1);
  CHECK(times.bucket(set_up_bounds_ms.size()) == 2);
  CHECK(times.sum_ms() == 520'007);
}
