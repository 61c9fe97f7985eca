#include "core/route/address_loads.h"

#include "core/mix.h"

namespace sni {
namespace {

constexpr std::uint64_t count_mask = UINT32_MAX;
constexpr auto load_order = std::memory_order_relaxed;  // A word depends on no other data.

std::uint64_t tag_of(const IpAddress& address) {
  return mix(address.bytes) & ~count_mask;
}

}  // namespace

AddressLoads::Place AddressLoads::enter(const IpAddress& address) {
  const std::uint64_t tag = tag_of(address);
  Slot* free = nullptr;
  for (Slot& slot : slots_) {
    std::uint64_t known = slot.word.load(load_order);
    while ((known & ~count_mask) == tag && known != 0) {
      if (slot.word.compare_exchange_weak(known, known + 1, load_order)) return &slot.word;
    }
    if (free == nullptr && (known & count_mask) == 0) free = &slot;
  }
  if (free == nullptr) return nullptr;
  std::uint64_t known = free->word.load(load_order);
  while ((known & count_mask) == 0) {
    if (free->word.compare_exchange_weak(known, tag | 1, load_order)) return &free->word;
  }
  return nullptr;  // Another worker was faster: this connection is not counted.
}

std::uint32_t AddressLoads::count(const IpAddress& address) const {
  const std::uint64_t tag = tag_of(address);
  std::uint64_t sum = 0;
  for (const Slot& slot : slots_) {
    const std::uint64_t known = slot.word.load(load_order);
    if ((known & ~count_mask) == tag) sum += known & count_mask;
  }
  return static_cast<std::uint32_t>(sum);
}

}  // namespace sni
