#include "core/guard/guard_prefixes.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <tuple>
#include <utility>

namespace sni {
namespace {

bool comes_before(const IpPrefix& a, const IpPrefix& b) {
  return std::tuple(is_v4_prefix(a), a.base, a.length) <
         std::tuple(is_v4_prefix(b), b.base, b.length);
}

void sort_entries(std::vector<GuardEntry>& entries) {
  std::ranges::sort(entries, comes_before, &GuardEntry::prefix);
}

// One entry per prefix: entries for the same prefix are merged.
std::vector<GuardEntry> without_duplicates(std::vector<GuardEntry> rules) {
  sort_entries(rules);
  std::vector<GuardEntry> unique;
  unique.reserve(rules.size());
  for (const GuardEntry& rule : rules) {
    if (!unique.empty() && unique.back().prefix == rule.prefix) {
      unique.back().term = united(unique.back().term, rule.term);
    } else {
      unique.push_back(rule);
    }
  }
  return unique;
}

// Merges each entry with those around it, and leaves out entries that then add nothing.
std::vector<GuardEntry> united_with_outer(const std::vector<GuardEntry>& rules) {
  std::vector<GuardEntry> kept;
  std::vector<GuardEntry> around;  // The kept prefixes around the current one, shortest first.
  for (GuardEntry entry : rules) {
    while (!around.empty() && !covers(around.back().prefix, entry.prefix)) around.pop_back();
    const GuardTerm outer = around.empty() ? GuardTerm{} : around.back().term;
    entry.term = united(entry.term, outer);
    if (entry.term == outer) continue;
    kept.push_back(entry);
    around.push_back(entry);
  }
  return kept;
}

bool are_halves(const GuardEntry& a, const GuardEntry& b) {
  return a.term == b.term && is_v4_prefix(a.prefix) == is_v4_prefix(b.prefix) &&
         a.prefix.base.masked(a.prefix.length - 1u) == b.prefix.base.masked(b.prefix.length - 1u);
}

// Whether a prefix has an outer half in its own family: 0.0.0.0/0 is ::ffff:0:0/96 here.
bool can_grow(const IpPrefix& prefix) {
  return prefix.length > (is_v4_prefix(prefix) ? 96 : 0);
}

// Joins halves, beginning with the longest prefixes. The two halves hide any entry for the whole,
// so the joined entry replaces it.
std::vector<GuardEntry> with_halves_joined(const std::vector<GuardEntry>& entries) {
  std::array<std::vector<GuardEntry>, 129> by_length;
  for (const GuardEntry& entry : entries) by_length[entry.prefix.length].push_back(entry);

  std::vector<GuardEntry> result;
  result.reserve(entries.size());
  for (std::size_t length = 128;; --length) {
    std::vector<GuardEntry>& level = by_length[length];
    std::vector<GuardEntry> joined;
    for (std::size_t i = 0; i < level.size(); ++i) {
      if (i + 1 == level.size() || !can_grow(level[i].prefix) ||
          !are_halves(level[i], level[i + 1])) {
        result.push_back(level[i]);
        continue;
      }
      const IpPrefix whole{.base = level[i].prefix.base,
                           .length = static_cast<std::uint8_t>(length - 1)};
      joined.push_back({.prefix = whole, .term = level[i].term});
      ++i;
    }
    if (length == 0) break;

    std::vector<GuardEntry> outer;
    std::ranges::set_union(joined, by_length[length - 1], std::back_inserter(outer), comes_before,
                           &GuardEntry::prefix, &GuardEntry::prefix);
    by_length[length - 1] = std::move(outer);
    level = {};
  }
  sort_entries(result);
  return result;
}

}  // namespace

GuardPrefixes::GuardPrefixes(std::vector<GuardEntry> rules)
    : entries_(with_halves_joined(united_with_outer(without_duplicates(std::move(rules))))) {
  link_parents();
}

void GuardPrefixes::link_parents() {
  first_v4_ = std::ranges::partition_point(
                  entries_, [](const GuardEntry& entry) { return !is_v4_prefix(entry.prefix); }) -
              entries_.begin();
  parents_.reserve(entries_.size());
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    std::uint32_t parent = i == 0 ? none : i - 1;
    while (parent != none && !covers(entries_[parent].prefix, entries_[i].prefix)) {
      parent = parents_[parent];
    }
    parents_.push_back(parent);
  }
}

GuardTerm GuardPrefixes::find(const IpAddress& address) const {
  const auto first = entries_.begin() + (address.is_v4() ? first_v4_ : 0);
  const auto last = address.is_v4() ? entries_.end() : entries_.begin() + first_v4_;
  const auto after = std::upper_bound(
      first, last, address,
      [](const IpAddress& wanted, const GuardEntry& entry) { return wanted < entry.prefix.base; });
  if (after == first) return {};
  // Every prefix that contains the address also contains the entry just before it.
  auto index = static_cast<std::uint32_t>(after - entries_.begin() - 1);
  while (index != none && !entries_[index].prefix.contains(address)) index = parents_[index];
  return index == none ? GuardTerm{} : entries_[index].term;
}

std::vector<GuardChange> changes_between(const GuardPrefixes& before, const GuardPrefixes& after) {
  std::vector<GuardChange> changes;
  std::vector<GuardChange> removals;
  auto old = before.entries().begin();
  const auto old_end = before.entries().end();
  for (const GuardEntry& entry : after.entries()) {
    while (old != old_end && comes_before(old->prefix, entry.prefix)) {
      removals.push_back({.prefix = (old++)->prefix, .term = std::nullopt});
    }
    const bool was_there = old != old_end && old->prefix == entry.prefix;
    if (!was_there || old->term != entry.term) {
      changes.push_back({.prefix = entry.prefix, .term = entry.term});
    }
    if (was_there) ++old;
  }
  for (; old != old_end; ++old) removals.push_back({.prefix = old->prefix, .term = std::nullopt});
  const auto length = [](const GuardChange& change) { return change.prefix.length; };
  std::ranges::stable_sort(changes, std::ranges::greater{}, length);
  std::ranges::stable_sort(removals, std::ranges::less{}, length);
  changes.insert(changes.end(), removals.begin(), removals.end());
  return changes;
}

}  // namespace sni
