#include "net/relay/low_water.h"

#include <doctest/doctest.h>

#include <vector>

using namespace sni;

namespace {

constexpr LowWaterEntry first{.slot = 1, .generation = 7, .side = Side::backend};
constexpr LowWaterEntry second{.slot = 2, .generation = 8, .side = Side::client};

}  // namespace

TEST_CASE("who waits is called once, when the time is over") {
  LowWaterQueue queue;
  CHECK_FALSE(queue.next_ms());
  queue.add(first, 100);
  queue.add(second, 101);
  CHECK(queue.next_ms() == 100 + LowWaterQueue::wait_ms);
  std::vector<std::uint32_t> called;
  const auto on_due = [&](LowWaterEntry waiter) -> std::optional<std::uint64_t> {
    called.push_back(waiter.slot);
    CHECK(waiter.generation == (waiter.slot == 1 ? 7 : 8));
    CHECK(waiter.side == (waiter.slot == 1 ? Side::backend : Side::client));
    return std::nullopt;
  };
  queue.expire(100 + LowWaterQueue::wait_ms - 1, on_due);
  CHECK(called.empty());
  queue.expire(100 + LowWaterQueue::wait_ms, on_due);
  CHECK(called == std::vector<std::uint32_t>{1});
  queue.expire(1000, on_due);
  CHECK(called == std::vector<std::uint32_t>{1, 2});
  CHECK_FALSE(queue.next_ms());
}

TEST_CASE("who has begun to wait anew meanwhile is called again in due time") {
  LowWaterQueue queue;
  queue.add(first, 100);
  int calls = 0;
  const auto since_101 = [&](LowWaterEntry) -> std::optional<std::uint64_t> {
    return ++calls == 1 ? std::optional<std::uint64_t>(101) : std::nullopt;
  };
  queue.expire(100 + LowWaterQueue::wait_ms, since_101);
  CHECK(calls == 1);
  CHECK(queue.next_ms() == 101 + LowWaterQueue::wait_ms);
  queue.expire(101 + LowWaterQueue::wait_ms, since_101);
  CHECK(calls == 2);
  CHECK_FALSE(queue.next_ms());
}
