#pragma once

// The prefixes that go into the kernel's tries, derived from those that the operator gave.
//
// A trie gives only its longest match, so each derived entry is the whole answer for its addresses:
// it merges the terms of all prefixes that contain it. A longer prefix that expires first therefore
// never hides a shorter one. A prefix that adds nothing to the one around it is left out, and two
// halves with the same terms become one prefix. The operator's list stays the source; this is
// derived from it again at each change.

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
  // The term of the longest match; an empty one where there is none.
  GuardTerm find(const IpAddress& address) const;

 private:
  void link_parents();

  static constexpr std::uint32_t none = ~0u;
  std::vector<GuardEntry> entries_;
  std::ptrdiff_t first_v4_ = 0;         // The families lie apart.
  std::vector<std::uint32_t> parents_;  // Index of the next shorter prefix around each, or none.
};

// The steps from `before` to `after`. Their order never leaves an address with a weaker verdict
// than both: first additions and replacements, longest prefix first, then removals, shortest prefix
// first.
std::vector<GuardChange> changes_between(const GuardPrefixes& before, const GuardPrefixes& after);

}  // namespace sni
