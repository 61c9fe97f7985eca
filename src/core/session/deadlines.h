#pragma once

// One deadline per slot, for as many slots as a worker has connections: a hierarchical timer wheel
// (Varghese and Lauck, 1987) with a bitmap of occupied buckets per level.
//
// Time is cut into ticks of 8 ms. Level 0 has a bucket for each of the 64 ticks around now, level 1
// has one for each 64 ticks, and so on over the whole 64 bits. A deadline is at the level of the
// highest 6-bit digit in which its tick differs from the current tick, and moves down when that
// digit is reached: at most once per level, so three times for ten minutes. Therefore
//   - set() and clear() are O(1): they link a list node that the slot owns;
//   - next_ms() reads one bitmap per level. It may name the moment of a move down, so expire() may
//     find nothing due; it is never late;
//   - a deadline never fires early, and late by less than a tick plus the time until expire() is
//     called.
// Only the constructor and grow() allocate.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace sni {

class Deadlines {
 public:
  static constexpr std::uint64_t tick_ms = 8;

  explicit Deadlines(std::uint32_t slots);

  // Makes room for `slots` slots; never shrinks.
  void grow(std::uint32_t slots);

  // Replaces the slot's deadline. A past time fires at the next tick.
  void set(std::uint32_t slot, std::uint64_t when_ms);
  void clear(std::uint32_t slot);

  // When expire() is worth calling next; nullopt: no deadline is set.
  std::optional<std::uint64_t> next_ms() const;

  // Calls on_due(slot) for each slot whose deadline is reached, in the order of their ticks; that
  // slot's deadline is already cleared. on_due may set and clear any slot: a cleared one does not
  // fire, and a set one waits for a later call. `now_ms` must not go back.
  template <typename OnDue>
  void expire(std::uint64_t now_ms, OnDue&& on_due) {
    collect_due(now_ms);
    while (const auto slot = take_due()) on_due(*slot);
  }

 private:
  static constexpr unsigned digit_bits = 6;
  static constexpr std::uint32_t level_buckets = 1u << digit_bits;
  static constexpr unsigned levels = 11;  // 61 bits of ticks.
  static constexpr std::uint32_t due_list = levels * level_buckets;
  static constexpr std::uint32_t nobody = UINT32_MAX;

  // Member of a circular list, or of none.
  struct Node {
    std::uint64_t tick = 0;  // The first one at which the deadline has passed.
    std::uint32_t next = nobody;
    std::uint32_t previous = nobody;
    std::uint32_t list = nobody;  // level * level_buckets + bucket, or due_list.
  };
  struct Bucket {
    std::uint32_t list;
    std::uint64_t tick;  // Its first one.
  };

  void link(std::uint32_t slot, std::uint32_t list);
  void unlink(std::uint32_t slot);
  void place(std::uint32_t slot);
  std::optional<Bucket> first_bucket() const;
  void collect_due(std::uint64_t now_ms);
  std::optional<std::uint32_t> take_due();

  std::uint64_t now_tick_ = 0;  // The first tick that expire() has not processed.
  std::vector<Node> nodes_;     // By slot.
  std::array<std::uint32_t, due_list + 1> heads_;
  std::array<std::uint64_t, levels> occupied_{};  // Bit n: bucket n of the level has members.
};

}  // namespace sni
