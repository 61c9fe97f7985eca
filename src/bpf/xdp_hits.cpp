// XdpGeneration::hits(): reads a million entries in batches, since one system call for each would
// take a second.

#include <bpf/bpf.h>

#include <bit>
#include <cstring>
#include <vector>

#include "bpf/xdp_generation.h"

namespace sni {
namespace {

// Entries per system call. A batch must hold the longest chain of one hash bucket.
constexpr std::uint32_t batch_entries = 4096;

IpAddress address_of(const __be32& key) {
  IpAddress address = IpAddress::v4(0, 0, 0, 0);
  std::memcpy(&address.bytes[12], &key, sizeof key);
  return address;
}

IpAddress address_of(const guard_address_v6& key) {
  return {.bytes = std::bit_cast<decltype(IpAddress::bytes)>(key)};
}

template <typename Key, typename Value, typename Visit>
void for_each_entry(const UniqueFd& map, Visit visit) {
  std::vector<Key> keys(batch_entries);
  std::vector<Value> values(batch_entries);
  std::uint64_t position = 0;  // The kernel's own, at most as long as a key or four bytes.
  bool first = true;
  bool more = true;
  while (more) {
    std::uint32_t count = batch_entries;
    // The last batch comes with ENOENT and is good; other errors leave count at 0.
    more = bpf_map_lookup_batch(map.get(), first ? nullptr : &position, &position, keys.data(),
                                values.data(), &count, nullptr) == 0;
    first = false;
    for (std::uint32_t i = 0; i < count; ++i) visit(keys[i], values[i]);
  }
}

template <typename Key>
void add_address_hits(const UniqueFd& exact, const UniqueFd& bans, unsigned ban_length,
                      std::vector<XdpHits>& hits) {
  for_each_entry<Key, guard_value>(exact, [&](const Key& key, const guard_value& value) {
    if (value.hits == 0) return;
    hits.push_back({.prefix = {.base = address_of(key), .length = 128}, .packets = value.hits});
  });
  for_each_entry<Key, guard_ban>(bans, [&](const Key& key, const guard_ban& value) {
    if (value.hits == 0) return;
    const IpPrefix source{.base = address_of(key), .length = static_cast<std::uint8_t>(ban_length)};
    hits.push_back({.prefix = source, .packets = value.hits, .ban = true});
  });
}

unsigned mask_length(const guard_address_v6& mask) {
  unsigned length = 0;
  for (const __be32 word : mask.words_be) length += static_cast<unsigned>(std::popcount(word));
  return length;
}

}  // namespace

std::vector<XdpHits> XdpGeneration::hits() const {
  std::vector<XdpHits> hits;
  for (const auto& [prefix, slot] : slots_) {
    const std::uint64_t packets = slot == 0 ? uncounted_hits(prefix) : counters_.sum(slot);
    if (packets != 0) hits.push_back({.prefix = prefix, .packets = packets});
  }
  add_address_hits<__be32>(exact_v4_, bans_v4_, 128, hits);
  add_address_hits<guard_address_v6>(exact_v6_, bans_v6_, mask_length(settings_.ban_mask_v6), hits);
  return hits;
}

}  // namespace sni
