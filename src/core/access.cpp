#include "core/access.h"

#include <algorithm>

namespace sni {
namespace {

std::uint32_t v4_value(const IpAddress& address) {
  std::uint32_t value = 0;
  for (std::size_t i = 12; i < 16; ++i) value = value << 8 | address.bytes[i];
  return value;
}

IpAddress last_of(const IpPrefix& prefix) {
  IpAddress last = prefix.base;
  for (std::size_t bit = prefix.length; bit < 128; ++bit) {
    last.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80u >> (bit % 8));
  }
  return last;
}

}  // namespace

AddressSet::AddressSet(std::span<const IpPrefix> prefixes) {
  for (const IpPrefix& prefix : prefixes) {
    const IpAddress last = last_of(prefix);
    // A block that is wider than all of IPv4 is one of IPv6 (core/address.h).
    if (prefix.base.is_v4() && last.is_v4()) {
      v4_.push_back({.first = v4_value(prefix.base), .last = v4_value(last)});
    } else {
      v6_.push_back({.first = prefix.base, .last = last});
    }
  }
  merge(v4_);
  merge(v6_);
}

// Of two prefixes one holds the other or they are apart, so what overlaps is dropped whole.
template <typename T>
void AddressSet::merge(std::vector<Range<T>>& ranges) {
  std::ranges::sort(ranges, [](const Range<T>& a, const Range<T>& b) {
    return a.first != b.first ? a.first < b.first : b.last < a.last;
  });
  const auto inner = std::ranges::unique(ranges, [](const Range<T>& outer, const Range<T>& range) {
    return range.last <= outer.last;
  });
  ranges.erase(inner.begin(), inner.end());
  ranges.shrink_to_fit();
}

template <typename T>
bool AddressSet::contains(const std::vector<Range<T>>& ranges, const T& address) noexcept {
  const auto after = std::ranges::upper_bound(ranges, address, {}, &Range<T>::first);
  return after != ranges.begin() && address <= std::prev(after)->last;
}

bool AddressSet::contains(const IpAddress& address) const noexcept {
  return address.is_v4() ? contains(v4_, v4_value(address)) : contains(v6_, address);
}

}  // namespace sni
