#include "core/route/endpoint_board.h"

#include <algorithm>

namespace sni {
namespace {

constexpr std::uint64_t in_use = std::uint64_t{1} << 63;
constexpr std::uint64_t configured_bit = std::uint64_t{1} << 62;
constexpr std::uint64_t answered_bit = std::uint64_t{1} << 61;
constexpr unsigned tries_shift = 57;
constexpr std::uint64_t tries_max = 15;
constexpr std::uint64_t tries_mask = tries_max << tries_shift;
constexpr std::uint64_t held_bit = std::uint64_t{1} << 56;
constexpr unsigned tag_shift = 34;
constexpr std::uint64_t tag_mask = ((std::uint64_t{1} << 22) - 1) << tag_shift;
constexpr std::uint64_t time_mask = (std::uint64_t{1} << tag_shift) - 1;
constexpr std::uint64_t tick_ms = 10;

constexpr auto word_order = std::memory_order_relaxed;  // A word depends on no other data.

std::uint64_t tag_of(EndpointBoard::Id id) {
  return (id >> 42 << tag_shift) & tag_mask;
}

std::uint64_t ticks(std::uint64_t time_ms) {
  return (time_ms / tick_ms) & time_mask;
}

// Ticks from a to b, which must be less than half of the clock's range apart.
std::int64_t distance(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t forward = (b - a) & time_mask;
  const bool backward = forward > time_mask / 2;
  return static_cast<std::int64_t>(forward) -
         (backward ? static_cast<std::int64_t>(time_mask) + 1 : 0);
}

// How long it is out after so many failed tries.
std::uint64_t out_for_ms(std::uint64_t tries) {
  return std::min(limits::out_ms << tries, limits::out_ms_max);
}

// Out from now on, for the first time.
std::uint64_t fresh(std::uint64_t tag, bool configured, std::uint64_t now_ms) {
  return in_use | tag | (configured ? configured_bit : 0) | ticks(now_ms + out_for_ms(0));
}

bool is_due(std::uint64_t word, std::uint64_t now) {
  return distance(word & time_mask, now) >= 0;
}

// How dispensable a word is: the set evicts the one of the greatest rank. 0: the newcomer may not
// replace it.
std::int64_t rank(std::uint64_t word, bool for_configured, std::uint64_t now) {
  constexpr std::int64_t grade = std::int64_t{1} << 40;  // Above any distance.
  if ((word & in_use) == 0) return 4 * grade;
  if ((word & held_bit) != 0) return 0;
  const bool by_client = (word & configured_bit) == 0;
  if (!by_client && !for_configured) return 0;
  const bool spent = (word & answered_bit) != 0 || is_due(word, now);
  // The smallest distance is due first.
  return (by_client ? 2 * grade : 0) + (spent ? grade : 0) + grade / 2 -
         distance(now, word & time_mask);
}

}  // namespace

std::atomic<std::uint64_t>* EndpointBoard::find(Id id) {
  for (auto& word : set_of(id).words) {
    const std::uint64_t value = word.load(word_order);
    if ((value & in_use) != 0 && (value & tag_mask) == tag_of(id)) return &word;
  }
  return nullptr;
}

bool EndpointBoard::add(Id id, bool configured, std::uint64_t begun_ms, std::uint64_t now_ms) {
  auto* const word = find(id);
  if (word == nullptr) return insert(id, configured, now_ms);
  std::uint64_t known = word->load(word_order);
  for (;;) {
    // Another endpoint has taken the word meanwhile: the next connection that fails tries again.
    if ((known & tag_mask) != tag_of(id)) return false;
    if ((known & answered_bit) == 0) {
      // It is already out, and the connection that retried it has set the time until the next try.
      const bool same = !configured || (known & configured_bit) != 0;
      if (same || word->compare_exchange_weak(known, known | configured_bit, word_order))
        return false;
      continue;
    }
    if (distance(ticks(begun_ms), known & time_mask) >= 0) return false;
    const bool still_configured = configured || (known & configured_bit) != 0;
    if (word->compare_exchange_weak(known, fresh(tag_of(id), still_configured, now_ms),
                                    word_order)) {
      return true;
    }
  }
}

bool EndpointBoard::insert(Id id, bool configured, std::uint64_t now_ms) {
  return put(id, fresh(tag_of(id), configured, now_ms), configured, now_ms);
}

bool EndpointBoard::put(Id id, std::uint64_t fresh_word, bool configured, std::uint64_t now_ms) {
  const std::uint64_t now = ticks(now_ms);
  std::atomic<std::uint64_t>* place = nullptr;
  std::uint64_t replaced = 0;
  std::int64_t best = 0;
  for (auto& word : set_of(id).words) {
    const std::uint64_t value = word.load(word_order);
    if (const std::int64_t worth = rank(value, configured, now); worth > best) {
      best = worth;
      place = &word;
      replaced = value;
    }
  }
  if (place == nullptr) return false;
  // If another worker was faster, it may have stored this very endpoint.
  return place->compare_exchange_strong(replaced, fresh_word, word_order);
}

bool EndpointBoard::answered(Id id, std::uint64_t now_ms) {
  bool news = false;
  // Two workers that failed at the same time may have left two words.
  for (auto& word : set_of(id).words) {
    std::uint64_t known = word.load(word_order);
    while ((known & in_use) != 0 && (known & tag_mask) == tag_of(id) && (known & held_bit) == 0) {
      const bool was_out = (known & answered_bit) == 0;
      const std::uint64_t now =
          in_use | tag_of(id) | (known & configured_bit) | answered_bit | ticks(now_ms);
      if (known != now && !word.compare_exchange_weak(known, now, word_order)) continue;
      news |= was_out;
      break;
    }
  }
  return news;
}

bool EndpointBoard::puts_off(Id id, std::uint64_t now_ms) {
  auto* const word = find(id);
  if (word == nullptr) return false;
  std::uint64_t known = word->load(word_order);
  if ((known & tag_mask) != tag_of(id) || (known & answered_bit) != 0) return false;
  if ((known & held_bit) != 0 || !is_due(known, ticks(now_ms))) return true;
  const std::uint64_t tries = std::min((known & tries_mask) >> tries_shift, tries_max - 1) + 1;
  const std::uint64_t again =
      (known & ~time_mask & ~tries_mask) | tries << tries_shift | ticks(now_ms + out_for_ms(tries));
  // The winner of the exchange retries it, or has just had an answer.
  return !word->compare_exchange_strong(known, again, word_order);
}

bool EndpointBoard::hold(Id id) {
  const std::uint64_t held = in_use | configured_bit | held_bit | tag_of(id);
  if (auto* const word = find(id)) {
    std::uint64_t known = word->load(word_order);
    while ((known & in_use) != 0 && (known & tag_mask) == tag_of(id)) {
      if (known == held || word->compare_exchange_weak(known, held, word_order)) return true;
    }
  }
  return put(id, held, true, 0);
}

void EndpointBoard::release(Id id) {
  for (auto& word : set_of(id).words) {
    std::uint64_t known = word.load(word_order);
    while ((known & held_bit) != 0 && (known & tag_mask) == tag_of(id)) {
      if (word.compare_exchange_weak(known, 0, word_order)) break;
    }
  }
}

bool EndpointBoard::is_held(Id id) const {
  return std::ranges::any_of(set_of(id).words, [id](const auto& word) {
    const std::uint64_t known = word.load(word_order);
    return (known & held_bit) != 0 && (known & tag_mask) == tag_of(id);
  });
}

bool EndpointBoard::is_out(Id id) const {
  return std::ranges::any_of(set_of(id).words, [id](const auto& word) {
    const std::uint64_t known = word.load(word_order);
    return (known & in_use) != 0 && (known & tag_mask) == tag_of(id) && (known & answered_bit) == 0;
  });
}

}  // namespace sni
