#include "core/session/deadlines.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace sni {

Deadlines::Deadlines(std::uint32_t slots) : nodes_(slots) {
  heads_.fill(nobody);
}

void Deadlines::grow(std::uint32_t slots) {
  if (slots > nodes_.size()) nodes_.resize(slots);
}

void Deadlines::set(std::uint32_t slot, std::uint64_t when_ms) {
  assert(slot < nodes_.size());
  unlink(slot);
  // Rounded up, without overflow: a deadline must have passed when its tick begins.
  const std::uint64_t tick = when_ms / tick_ms + (when_ms % tick_ms != 0);
  nodes_[slot].tick = std::max(tick, now_tick_);
  place(slot);
}

void Deadlines::clear(std::uint32_t slot) {
  assert(slot < nodes_.size());
  unlink(slot);
}

std::optional<std::uint64_t> Deadlines::next_ms() const {
  if (heads_[due_list] != nobody) return now_tick_ * tick_ms;
  const auto bucket = first_bucket();
  if (!bucket) return std::nullopt;
  return bucket->tick * tick_ms;
}

void Deadlines::link(std::uint32_t slot, std::uint32_t list) {
  Node& node = nodes_[slot];
  node.list = list;
  std::uint32_t& head = heads_[list];
  if (head == nobody) {
    head = node.next = node.previous = slot;
    if (list != due_list) occupied_[list / level_buckets] |= 1ull << (list % level_buckets);
    return;
  }
  node.next = head;
  node.previous = nodes_[head].previous;
  nodes_[node.previous].next = slot;
  nodes_[head].previous = slot;
}

void Deadlines::unlink(std::uint32_t slot) {
  Node& node = nodes_[slot];
  if (node.list == nobody) return;
  std::uint32_t& head = heads_[node.list];
  if (node.next == slot) {
    head = nobody;
    if (node.list != due_list) {
      occupied_[node.list / level_buckets] &= ~(1ull << (node.list % level_buckets));
    }
  } else {
    nodes_[node.previous].next = node.next;
    nodes_[node.next].previous = node.previous;
    if (head == slot) head = node.next;
  }
  node.list = nobody;
}

void Deadlines::place(std::uint32_t slot) {
  const std::uint64_t tick = nodes_[slot].tick;
  // The lowest digit is or-ed in so that an equal tick is also at level 0.
  const std::uint64_t differing = (tick ^ now_tick_) | (level_buckets - 1);
  const unsigned level = (static_cast<unsigned>(std::bit_width(differing)) - 1) / digit_bits;
  const auto bucket =
      static_cast<std::uint32_t>(tick >> (level * digit_bits) & (level_buckets - 1));
  link(slot, level * level_buckets + bucket);
}

// All digits of a member above its level equal those of the current tick, and the digit at its
// level is larger (level 0: or equal). So the lowest level with members has the next one, and its
// lowest bit is that bucket.
std::optional<Deadlines::Bucket> Deadlines::first_bucket() const {
  for (unsigned level = 0; level < levels; ++level) {
    if (occupied_[level] == 0) continue;
    const auto bucket = static_cast<std::uint32_t>(std::countr_zero(occupied_[level]));
    const unsigned shift = level * digit_bits;
    const std::uint64_t above = ~std::uint64_t{0} << shift << digit_bits;
    return Bucket{.list = level * level_buckets + bucket,
                  .tick = (now_tick_ & above) | std::uint64_t{bucket} << shift};
  }
  return std::nullopt;
}

void Deadlines::collect_due(std::uint64_t now_ms) {
  // The tick that contains now has begun, so its deadlines have passed.
  const std::uint64_t end_tick = now_ms / tick_ms + 1;
  if (end_tick <= now_tick_) return;
  while (const auto bucket = first_bucket()) {
    const bool due = bucket->list < level_buckets;
    if (due ? bucket->tick >= end_tick : bucket->tick > end_tick) break;
    now_tick_ = bucket->tick;
    for (std::uint32_t slot = heads_[bucket->list]; slot != nobody; slot = heads_[bucket->list]) {
      unlink(slot);
      if (due) {
        link(slot, due_list);
      } else {
        place(slot);
      }
    }
  }
  now_tick_ = end_tick;
}

std::optional<std::uint32_t> Deadlines::take_due() {
  const std::uint32_t slot = heads_[due_list];
  if (slot == nobody) return std::nullopt;
  unlink(slot);
  return slot;
}

}  // namespace sni
