// XdpGeneration::hits(): reads a million entries in batches, since one system call for each would
// take a second.

#include <bpf/bpf.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

#include "bpf/xdp/xdp_generation.h"
#include "core/address/source.h"

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
  std::uint32_t position = 0;  // A bucket's index.
  bool first = true;
  bool more = true;
  while (more) {
    std::uint32_t count = batch_entries;
    more = bpf_map_lookup_batch(map.get(), first ? nullptr : &position, &position, keys.data(),
                                values.data(), &count, nullptr) == 0;
    // The last batch comes with ENOENT and is valid.
    if (!more && errno != ENOENT) return;
    first = false;
    for (std::uint32_t i = 0; i < count; ++i) visit(keys[i], values[i]);
  }
}

template <typename Key>
void add_hits(const std::array<UniqueFd, GUARD_SHARDS>& exact, const UniqueFd& bans,
              std::uint8_t ban_length, std::vector<XdpHits>& hits) {
  const auto add = [&hits](const Key& key, std::uint64_t packets, unsigned length, bool ban) {
    if (packets == 0) return;
    const IpPrefix prefix{.base = address_of(key), .length = static_cast<std::uint8_t>(length)};
    hits.push_back({.prefix = prefix, .packets = packets, .ban = ban});
  };
  for (const UniqueFd& shard : exact) {
    for_each_entry<Key, guard_value>(
        shard, [&](const Key& key, const guard_value& value) { add(key, value.hits, 128, false); });
  }
  for_each_entry<Key, guard_ban>(bans, [&](const Key& key, const guard_ban& value) {
    add(key, value.hits, source_of(address_of(key), ban_length).length, true);
  });
}

std::uint8_t mask_length(const guard_address_v6& mask) {
  int length = 0;
  for (const __be32 word : mask.words_be) length += std::popcount(word);
  return static_cast<std::uint8_t>(length);
}

}  // namespace

std::vector<XdpHits> XdpGeneration::hits() const {
  std::vector<XdpHits> hits;
  for (const auto& [prefix, slot] : slots_) {
    const std::uint64_t packets = slot == 0 ? hits_in_entry(prefix) : counters_.sum(slot);
    if (packets != 0) hits.push_back({.prefix = prefix, .packets = packets});
  }
  add_hits<__be32>(v4_.exact, v4_.bans, 128, hits);
  add_hits<guard_address_v6>(v6_.exact, v6_.bans, mask_length(settings_.ban_mask_v6), hits);
  return hits;
}

}  // namespace sni
