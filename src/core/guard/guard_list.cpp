#include "core/guard/guard_list.h"

#include <algorithm>

#include "core/limits.h"

namespace sni {
namespace {

// What a single address needs installed beside the prefix around it; nullopt: nothing.
std::optional<GuardTerm> beyond(const GuardTerm& own, const GuardTerm& around) {
  const GuardTerm whole = united(own, around);
  return whole == around ? std::nullopt : std::optional(whole);
}

}  // namespace

GuardList::GuardList(std::vector<GuardEntry> entries) {
  const auto first_single = std::partition(entries.begin(), entries.end(), [](const GuardEntry& e) {
    return !is_single_address(e.prefix);
  });
  // Room for all that commands may add: no reader waits for a million entries to be hashed again.
  addresses_.reserve(static_cast<std::size_t>(entries.end() - first_single) +
                     limits::guard_commands_max);
  for (auto entry = first_single; entry != entries.end(); ++entry) {
    GuardTerm& term = addresses_[entry->prefix.base];
    term = united(term, entry->term);
  }
  entries.erase(first_single, entries.end());
  rules_ = std::move(entries);
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

GuardList::Plan GuardList::plan(const IpPrefix& prefix, const GuardTerm& term) const {
  Plan plan;
  plan.prefix = prefix;
  plan.term = term;
  if (is_single_address(prefix)) return plan_address(std::move(plan));

  std::vector<GuardEntry> rules = rules_;
  std::erase_if(rules, [&](const GuardEntry& rule) { return rule.prefix == prefix; });
  if (term != GuardTerm{}) rules.push_back({.prefix = prefix, .term = term});
  GuardPrefixes derived(rules);

  // Single addresses are the longest prefixes: added first and removed last, as there.
  std::vector<GuardChange> removals;
  for (const auto& [address, own] : addresses_) {
    if (!covers(prefix, address)) continue;
    const std::optional<GuardTerm> before = beyond(own, prefixes_.find(address));
    const std::optional<GuardTerm> after = beyond(own, derived.find(address));
    if (before == after) continue;
    std::vector<GuardChange>& list = after ? plan.changes : removals;
    list.push_back({.prefix = {.base = address, .length = 128}, .term = after});
  }
  const std::vector<GuardChange> steps = changes_between(prefixes_, derived);
  plan.changes.insert(plan.changes.end(), steps.begin(), steps.end());
  plan.changes.insert(plan.changes.end(), removals.begin(), removals.end());
  plan.prefixes.emplace(std::move(rules), std::move(derived));
  return plan;
}

GuardList::Plan GuardList::plan_address(Plan plan) const {
  const GuardTerm around = prefixes_.find(plan.prefix.base);
  const std::optional<GuardTerm> before = beyond(term_of(plan.prefix), around);
  const std::optional<GuardTerm> after = beyond(plan.term, around);
  if (before != after) plan.changes.push_back({.prefix = plan.prefix, .term = after});
  return plan;
}

void GuardList::commit(Plan& plan) {
  if (plan.prefixes) {
    std::swap(rules_, plan.prefixes->first);
    std::swap(prefixes_, plan.prefixes->second);
  } else if (plan.term == GuardTerm{}) {
    addresses_.erase(plan.prefix.base);
  } else {
    addresses_[plan.prefix.base] = plan.term;
  }
}

}  // namespace sni
