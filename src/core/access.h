#pragma once

// Which sources are served: the [access] table, ready for lookups. Prefixes become sorted ranges
// that do not overlap, so a lookup is one binary search, 20 steps for a million entries, and an
// entry takes 8 bytes for IPv4 and 32 for IPv6. A list does not change once it is built; a reload
// builds a new one.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/address.h"
#include "core/config.h"

namespace sni {

// The union of prefixes.
class AddressSet {
 public:
  AddressSet() = default;
  explicit AddressSet(std::span<const IpPrefix> prefixes);

  bool contains(const IpAddress& address) const noexcept;
  // Ranges kept, after those that lie in others are gone.
  std::size_t size() const { return v4_.size() + v6_.size(); }

 private:
  template <typename T>
  struct Range {
    T first;
    T last;  // Included.
  };
  template <typename T>
  static void merge(std::vector<Range<T>>& ranges);
  template <typename T>
  static bool contains(const std::vector<Range<T>>& ranges, const T& address) noexcept;

  std::vector<Range<std::uint32_t>> v4_;  // Host order.
  std::vector<Range<IpAddress>> v6_;
};

class AccessList {
 public:
  AccessList() = default;  // Serves everybody.
  explicit AccessList(const AccessConfig& config)
      : block_(config.block), allow_(config.allow), default_allow_(config.default_allow) {}

  bool allows(const IpAddress& source) const noexcept {
    if (allow_.contains(source)) return true;
    return default_allow_ && !block_.contains(source);
  }

 private:
  AddressSet block_;
  AddressSet allow_;
  bool default_allow_ = true;
};

}  // namespace sni
