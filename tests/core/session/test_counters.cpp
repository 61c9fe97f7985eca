#include "core/session/counters.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <thread>

using namespace sni;

TEST_CASE("a reader in another thread sees a counter only go up, to its end") {
  constexpr std::uint64_t additions = 20'000;
  Counter counter;
  std::thread writer([&] {
    for (std::uint64_t i = 0; i < additions; ++i) counter.add(3);
  });
  std::uint64_t last = 0;
  bool went_back = false;
  while (last < 3 * additions) {
    const std::uint64_t value = counter.value();
    went_back |= value < last;
    last = value;
  }
  writer.join();
  CHECK_FALSE(went_back);
  CHECK(counter.value() == 3 * additions);
}

TEST_CASE("every refusal has a name of its own") {
  std::set<std::string> names;
  for (std::size_t i = 0; i < refusals; ++i) names.insert(to_string(static_cast<Refusal>(i)));
  CHECK(names.size() == refusals);
}
