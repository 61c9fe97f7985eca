#pragma once

// The lists as the operator gave them, and the answer to "may this address in?".
//
// Single addresses are kept apart from prefixes, as in the kernel, where they live in hashes of a
// million entries. Prefixes are few enough to derive anew at each change (core/guard/guard_prefixes.h).
//
// One thread changes the list, others read it. A change is planned first, without touching
// anything, and then committed, so that readers are kept out only for the moment of the commit.

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
  // A change that has been worked out: what to install, and the state to take over.
  struct Plan {
    std::vector<GuardChange> changes;

   private:
    friend class GuardList;
    std::vector<GuardEntry> singles;
    // Where a prefix changes; its old state leaves with the plan.
    std::optional<std::pair<std::vector<GuardEntry>, GuardPrefixes>> prefixes;
  };

  GuardList() : GuardList(std::vector<GuardEntry>{}) {}
  // Entries for the same prefix are united.
  explicit GuardList(std::vector<GuardEntry> entries);

  // What applies to an address.
  GuardTerm find(const IpAddress& address) const;
  // What the list itself says about exactly this prefix.
  GuardTerm term_of(const IpPrefix& prefix) const;

  // Every entry that is not a single address, and every single address, in no order.
  const std::vector<GuardEntry>& rules() const { return rules_; }
  const std::unordered_map<IpAddress, GuardTerm>& addresses() const { return addresses_; }

  // What belongs into the kernel: prefixes, and single addresses that say more than those.
  const GuardPrefixes& installed_prefixes() const { return prefixes_; }
  std::vector<GuardEntry> installed_addresses() const;

  // Replaces what the list says about exactly these prefixes, each named once; an empty term removes
  // one. With a prefix among them it takes time with the length of the list, however many they are:
  // for 600,000 entries a tenth of a second.
  Plan plan(std::span<const GuardEntry> terms) const;
  Plan plan(const IpPrefix& prefix, const GuardTerm& term) const {
    const GuardEntry entry{.prefix = prefix, .term = term};
    return plan(std::span(&entry, 1));
  }
  // Takes the plan over and leaves the old state in it, to be freed without readers waiting.
  void commit(Plan& plan);

 private:
  std::unordered_map<IpAddress, GuardTerm> addresses_;
  std::vector<GuardEntry> rules_;
  GuardPrefixes prefixes_;
};

}  // namespace sni
