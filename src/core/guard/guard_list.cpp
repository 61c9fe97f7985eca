#include "core/guard/guard_list.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "core/limits.h"

namespace sni {
namespace {

// What must be installed for a single address besides the prefix around it; nullopt: nothing.
std::optional<GuardTerm> beyond(const GuardTerm& own, const GuardTerm& around) {
  const GuardTerm whole = united(own, around);
  return whole == around ? std::nullopt : std::optional(whole);
}

}  // namespace

GuardList::GuardList(std::vector<GuardEntry> entries) {
  const auto first_single = std::partition(entries.begin(), entries.end(), [](const GuardEntry& e) {
    return !is_single_address(e.prefix);
  });
  // Reserves room for all that commands may add, so that no reader waits for a million entries to
  // be rehashed.
  addresses_.reserve(static_cast<std::size_t>(entries.end() - first_single) +
                     limits::guard_commands_max);
  for (auto entry = first_single; entry != entries.end(); ++entry) {
    GuardTerm& term = addresses_[entry->prefix.base];
    term = united(term, entry->term);
  }
  std::map<IpPrefix, std::size_t> places;  // Of rules_, which keep the order of the entries.
  for (auto entry = entries.begin(); entry != first_single; ++entry) {
    const auto [known, is_new] = places.try_emplace(entry->prefix, rules_.size());
    if (is_new) {
      rules_.push_back(*entry);
    } else {
      rules_[known->second].term = united(rules_[known->second].term, entry->term);
    }
  }
  prefixes_ = GuardPrefixes(rules_);
}

GuardTerm GuardList::find(const IpAddress& address) const {
  const GuardTerm around = prefixes_.find(address);
  const auto own = addresses_.find(address);
  return own == addresses_.end() ? around : united(own->second, around);
}

GuardTerm GuardList::term_of(const IpPrefix& prefix) const {
  GuardTerm term;
  if (is_single_address(prefix)) {
    const auto own = addresses_.find(prefix.base);
    if (own != addresses_.end()) term = own->second;
    return term;
  }
  for (const GuardEntry& rule : rules_) {
    if (rule.prefix == prefix) term = united(term, rule.term);
  }
  return term;
}

std::vector<GuardEntry> GuardList::installed_addresses() const {
  std::vector<GuardEntry> installed;
  installed.reserve(addresses_.size());
  for (const auto& [address, own] : addresses_) {
    const std::optional<GuardTerm> term = beyond(own, prefixes_.find(address));
    if (term) installed.push_back({.prefix = {.base = address, .length = 128}, .term = *term});
  }
  return installed;
}

GuardList::Plan GuardList::plan(std::span<const GuardEntry> terms) const {
  Plan plan;
  std::map<IpPrefix, GuardTerm> changed;
  std::vector<GuardEntry> around;  // Where answers may change; their terms do not matter.
  for (const GuardEntry& entry : terms) {
    if (is_single_address(entry.prefix)) {
      plan.singles.push_back(entry);
    } else {
      changed[entry.prefix] = entry.term;
      around.push_back({.prefix = entry.prefix, .term = {.block_until = guard_never_expires}});
    }
  }
  if (!changed.empty()) {
    std::vector<GuardEntry> rules = rules_;
    std::erase_if(rules, [&](const GuardEntry& rule) { return changed.contains(rule.prefix); });
    for (const auto& [prefix, term] : changed) {
      if (term != GuardTerm{}) rules.push_back({.prefix = prefix, .term = term});
    }
    GuardPrefixes derived(rules);
    plan.prefixes.emplace(std::move(rules), std::move(derived));
  }
  const GuardPrefixes& derived = plan.prefixes ? plan.prefixes->second : prefixes_;

  // Single addresses are the longest prefixes: they are added first and removed last, as in
  // changes_between().
  std::vector<GuardChange> removals;
  const auto step = [&](const IpAddress& address, const GuardTerm& old, const GuardTerm& own) {
    const std::optional<GuardTerm> before = beyond(old, prefixes_.find(address));
    const std::optional<GuardTerm> after = beyond(own, derived.find(address));
    if (before == after) return;
    std::vector<GuardChange>& list = after ? plan.changes : removals;
    list.push_back({.prefix = {.base = address, .length = 128}, .term = after});
  };
  std::unordered_set<IpAddress> named;
  for (const GuardEntry& single : plan.singles) {
    named.insert(single.prefix.base);
    step(single.prefix.base, term_of(single.prefix), single.term);
  }
  if (plan.prefixes) {
    const GuardPrefixes touched(std::move(around));
    for (const auto& [address, own] : addresses_) {
      if (touched.find(address) == GuardTerm{} || named.contains(address)) continue;
      step(address, own, own);
    }
    const std::vector<GuardChange> steps = changes_between(prefixes_, derived);
    plan.changes.insert(plan.changes.end(), steps.begin(), steps.end());
  }
  plan.changes.insert(plan.changes.end(), removals.begin(), removals.end());
  return plan;
}

void GuardList::commit(Plan& plan) {
  if (plan.prefixes) {
    std::swap(rules_, plan.prefixes->first);
    std::swap(prefixes_, plan.prefixes->second);
  }
  for (const GuardEntry& single : plan.singles) {
    if (single.term == GuardTerm{}) {
      addresses_.erase(single.prefix.base);
    } else {
      addresses_[single.prefix.base] = single.term;
    }
  }
}

}  // namespace sni
