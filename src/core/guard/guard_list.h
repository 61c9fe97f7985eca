#pragma once

// The lists as the operator gave them, and the verdict on an address.
//
// Single addresses are kept apart from prefixes, as in the kernel, where they are in hash maps of a
// million entries. Prefixes are few enough to be derived again at each change
// (core/guard/guard_prefixes.h).
//
// One thread changes the list, others read it. A change is first planned, which modifies nothing,
// and then committed. Readers are locked out only during the commit.

#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/guard/guard_entry.h"
#include "core/guard/guard_prefixes.h"

namespace sni {

class GuardList {
 public:
  // A prepared change: what to install, and the new state.
  struct Plan {
    std::vector<GuardChange> changes;

   private:
    friend class GuardList;
    std::vector<GuardEntry> singles;
    // Set if a prefix changes. After the commit the plan holds the old state.
    std::optional<std::pair<std::vector<GuardEntry>, GuardPrefixes>> prefixes;
  };

  GuardList() : GuardList(std::vector<GuardEntry>{}) {}
  // Entries for the same prefix are merged.
  explicit GuardList(std::vector<GuardEntry> entries);

  // What applies to an address.
  GuardTerm find(const IpAddress& address) const;
  // What the list itself says about exactly this prefix.
  GuardTerm term_of(const IpPrefix& prefix) const;

  // All prefixes, and all single addresses, in no order.
  const std::vector<GuardEntry>& rules() const { return rules_; }
  const std::unordered_map<IpAddress, GuardTerm>& addresses() const { return addresses_; }

  // What to install in the kernel: prefixes, and single addresses that differ from them.
  const GuardPrefixes& installed_prefixes() const { return prefixes_; }
  std::vector<GuardEntry> installed_addresses() const;

  // Replaces the terms of exactly these prefixes, each named once; an empty term removes one. If
  // one of them is not a single address, the cost depends on the length of the list and not on
  // their number: a tenth of a second for 600,000 entries.
  Plan plan(std::span<const GuardEntry> terms) const;
  Plan plan(const IpPrefix& prefix, const GuardTerm& term) const {
    const GuardEntry entry{.prefix = prefix, .term = term};
    return plan(std::span(&entry, 1));
  }
  // Applies the plan and leaves the old state in it, to be freed while no reader waits.
  void commit(Plan& plan);

 private:
  std::unordered_map<IpAddress, GuardTerm> addresses_;
  std::vector<GuardEntry> rules_;
  GuardPrefixes prefixes_;
};

}  // namespace sni
