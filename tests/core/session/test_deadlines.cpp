#include "core/session/deadlines.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <vector>

using sni::Deadlines;

namespace {

constexpr std::uint64_t tick = Deadlines::tick_ms;
constexpr std::uint64_t ten_minutes = 600'000;

std::vector<std::uint32_t> expired(Deadlines& deadlines, std::uint64_t now_ms) {
  std::vector<std::uint32_t> slots;
  deadlines.expire(now_ms, [&](std::uint32_t slot) { slots.push_back(slot); });
  return slots;
}

using Slots = std::vector<std::uint32_t>;

// A model of Deadlines: slots by their deadlines.
class Model {
 public:
  void set(std::uint32_t slot, std::uint64_t when_ms) {
    clear(slot);
    by_time_.emplace(when_ms, slot);
    by_slot_[slot] = when_ms;
  }
  void clear(std::uint32_t slot) {
    const auto at = by_slot_.find(slot);
    if (at == by_slot_.end()) return;
    auto [entry, end] = by_time_.equal_range(at->second);
    while (entry != end && entry->second != slot) ++entry;
    by_time_.erase(entry);
    by_slot_.erase(at);
  }
  const std::multimap<std::uint64_t, std::uint32_t>& by_time() const { return by_time_; }
  std::uint64_t when(std::uint32_t slot) const { return by_slot_.at(slot); }
  bool has(std::uint32_t slot) const { return by_slot_.contains(slot); }

 private:
  std::multimap<std::uint64_t, std::uint32_t> by_time_;
  std::map<std::uint32_t, std::uint64_t> by_slot_;
};

}  // namespace

TEST_CASE("without deadlines there is nothing to wait for") {
  Deadlines deadlines(4);
  CHECK_FALSE(deadlines.next_ms().has_value());
  CHECK(expired(deadlines, 1'000'000).empty());
  deadlines.set(2, 2'000'000);
  deadlines.clear(2);
  deadlines.clear(3);
  CHECK_FALSE(deadlines.next_ms().has_value());
}

TEST_CASE("a deadline fires once, not early, and within a tick") {
  for (std::uint64_t when = 1'000; when < 1'000 + 3 * tick; ++when) {
    Deadlines deadlines(1);
    deadlines.set(0, when);
    CHECK(expired(deadlines, when - 1).empty());
    CHECK(expired(deadlines, when + tick - 1) == Slots{0});
    CHECK(expired(deadlines, when + ten_minutes).empty());
  }
}

TEST_CASE("a slot has one deadline, the last one set") {
  Deadlines deadlines(1);
  deadlines.set(0, 1'000);
  deadlines.set(0, 5'000);
  CHECK(expired(deadlines, 4'000).empty());
  deadlines.set(0, 4'500);
  CHECK(expired(deadlines, 4'600) == Slots{0});
  CHECK_FALSE(deadlines.next_ms().has_value());
}

TEST_CASE("deadlines fire in the order of their ticks, however far apart") {
  Deadlines deadlines(5);
  deadlines.set(0, 86'400'000);
  deadlines.set(1, 10);
  deadlines.set(2, ten_minutes);
  deadlines.set(3, 5'000);
  deadlines.set(4, UINT64_MAX);
  CHECK(expired(deadlines, 100'000'000) == Slots{1, 3, 2, 0});
  CHECK(expired(deadlines, UINT64_MAX - tick).empty());
}

TEST_CASE("a past deadline fires at the next tick, not within the same call") {
  Deadlines deadlines(2);
  deadlines.set(0, 1'000);
  int calls = 0;
  deadlines.expire(2'000, [&](std::uint32_t slot) {
    ++calls;
    deadlines.set(slot, 500);
    REQUIRE(calls < 10);
  });
  CHECK(calls == 1);
  CHECK(deadlines.next_ms().value() <= 2'000 + tick);
  CHECK(expired(deadlines, 2'000 + tick) == Slots{0});
}

TEST_CASE("a deadline that a callback clears does not fire, although it was due") {
  Deadlines deadlines(2);
  deadlines.set(0, 1'000);
  deadlines.set(1, 1'000);
  Slots slots;
  deadlines.expire(2'000, [&](std::uint32_t slot) {
    slots.push_back(slot);
    deadlines.clear(1 - slot);
  });
  CHECK(slots.size() == 1);
  CHECK_FALSE(deadlines.next_ms().has_value());
}

TEST_CASE("growing keeps the deadlines and takes new slots") {
  Deadlines deadlines(1);
  deadlines.set(0, 1'000);
  deadlines.grow(1'000);
  deadlines.grow(10);
  deadlines.set(999, 2'000);
  CHECK(expired(deadlines, 3'000) == Slots{0, 999});
}

TEST_CASE("waiting by next_ms() alone, ten minutes take a handful of wake-ups and end in time") {
  Deadlines deadlines(1);
  std::uint64_t now = 123'456'789;
  CHECK(expired(deadlines, now).empty());
  const std::uint64_t when = now + ten_minutes;
  deadlines.set(0, when);
  int wakeups = 0;
  for (Slots slots; slots.empty(); ++wakeups) {
    REQUIRE(wakeups < 10);
    REQUIRE(deadlines.next_ms().value() > now);
    now = *deadlines.next_ms();
    slots = expired(deadlines, now);
  }
  CHECK(now >= when);
  CHECK(now < when + tick);
  CHECK(wakeups <= 4);
}

TEST_CASE("any order of set, clear and expire agrees with a sorted map") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    constexpr std::uint32_t slots = 40;
    Deadlines deadlines(slots);
    Model model;
    std::uint64_t now = random() >> (random() % 40 + 4);
    expired(deadlines, now);
    for (int step = 0; step < 2'000; ++step) {
      const auto slot = static_cast<std::uint32_t>(random() % slots);
      const std::uint64_t distance = random() >> (40 + random() % 24);
      switch (random() % 4) {
        case 0:
        case 1:
          deadlines.set(slot, now + distance);
          model.set(slot, now + distance);
          break;
        case 2:
          deadlines.clear(slot);
          model.clear(slot);
          break;
        default:
          now += distance >> random() % 8;
          deadlines.expire(now, [&](std::uint32_t due) {
            REQUIRE(model.has(due));
            REQUIRE(model.when(due) <= now);
            model.clear(due);
          });
          // Remaining deadlines are due in the current tick at the earliest.
          REQUIRE((model.by_time().empty() || model.by_time().begin()->first + tick > now));
      }
      const auto next = deadlines.next_ms();
      REQUIRE(next.has_value() == !model.by_time().empty());
      if (next) REQUIRE(*next < std::max(model.by_time().begin()->first, now) + 2 * tick);
    }
  }
}
