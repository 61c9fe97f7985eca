#include "net/relay/patience.h"

#include <doctest/doctest.h>

#include <vector>

using namespace sni;

namespace {

constexpr Waiter first{.slot = 1, .generation = 7, .side = Side::backend};
constexpr Waiter second{.slot = 2, .generation = 8, .side = Side::client};

}  // namespace

TEST_CASE("who waits is called once, when the time is over") {
  Patience patience;
  CHECK_FALSE(patience.next_ms());
  patience.add(first, 100);
  patience.add(second, 101);
  CHECK(patience.next_ms() == 100 + Patience::wait_ms);
  std::vector<std::uint32_t> called;
  const auto on_due = [&](Waiter waiter) -> std::optional<std::uint64_t> {
    called.push_back(waiter.slot);
    CHECK(waiter.generation == (waiter.slot == 1 ? 7 : 8));
    CHECK(waiter.side == (waiter.slot == 1 ? Side::backend : Side::client));
    return std::nullopt;
  };
  patience.expire(100 + Patience::wait_ms - 1, on_due);
  CHECK(called.empty());
  patience.expire(100 + Patience::wait_ms, on_due);
  CHECK(called == std::vector<std::uint32_t>{1});
  patience.expire(1000, on_due);
  CHECK(called == std::vector<std::uint32_t>{1, 2});
  CHECK_FALSE(patience.next_ms());
}

TEST_CASE("who has begun to wait anew meanwhile is called again in due time") {
  Patience patience;
  patience.add(first, 100);
  int calls = 0;
  const auto since_101 = [&](Waiter) -> std::optional<std::uint64_t> {
    return ++calls == 1 ? std::optional<std::uint64_t>(101) : std::nullopt;
  };
  patience.expire(100 + Patience::wait_ms, since_101);
  CHECK(calls == 1);
  CHECK(patience.next_ms() == 101 + Patience::wait_ms);
  patience.expire(101 + Patience::wait_ms, since_101);
  CHECK(calls == 2);
  CHECK_FALSE(patience.next_ms());
}
