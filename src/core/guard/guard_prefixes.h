#pragma once

// The prefixes that go into the kernel's tries, derived from those that the operator gave.
//
// A trie gives only its longest match, so each derived entry is the whole answer for its addresses:
// it unites what all prefixes around it say. A longer prefix that expires first therefore never
// hides a shorter one, and one that adds nothing to the prefix around it is left out. Two halves
// that say the same become one. The operator's list stays the truth; this is made anew from it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/guard/guard_entry.h"

namespace sni {

class GuardPrefixes {
 public:
  GuardPrefixes() = default;
  explicit GuardPrefixes(std::vector<GuardEntry> rules);

  // IPv6 before IPv4, then by base, shorter first.
  std::span<const GuardEntry> entries() const { return entries_; }
  // What the longest match says; nothing at all where there is none.
  GuardTerm find(const IpAddress& address) const;

 private:
  void link_parents();

  static constexpr std::uint32_t none = ~0u;
  std::vector<GuardEntry> entries_;
  std::ptrdiff_t first_v4_ = 0;         // The families lie apart.
  std::vector<std::uint32_t> parents_;  // Index of the next shorter prefix around each; or none.
};

// From `before` to `after`, in an order that never leaves an address with a weaker answer than
// both: additions and replacements first, the longest first, then removals, the shortest first.
std::vector<GuardChange> changes_between(const GuardPrefixes& before, const GuardPrefixes& after);

}  // namespace sni
