#include "bpf/xdp_generation.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/limits.h"

namespace sni {
namespace {

// Prefixes that commands can add before their hits are counted less cheaply.
constexpr std::uint32_t spare_slots = 4096;

struct MapShape {
  const char* name;
  bpf_map_type type;
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;
  std::uint32_t flags;
};

Result<UniqueFd> create_map(const MapShape& shape, std::size_t entries) {
  const bpf_map_create_opts options{.sz = sizeof options, .map_flags = shape.flags};
  const int fd = bpf_map_create(shape.type, shape.name, shape.key_bytes, shape.value_bytes,
                                static_cast<std::uint32_t>(entries), &options);
  if (fd < 0) {
    return fail_sys("cannot create the BPF map " + std::string(shape.name) + " of " +
                        std::to_string(entries) + " entries",
                    errno);
  }
  return UniqueFd::adopt(fd);
}

__be32 v4_key(const IpAddress& address) {
  __be32 key = 0;
  std::memcpy(&key, &address.bytes[12], sizeof key);
  return key;
}

guard_address_v6 v6_key(const IpAddress& address) {
  return std::bit_cast<guard_address_v6>(address.bytes);
}

guard_prefix_v4 v4_key(const IpPrefix& prefix) {
  return {.length = prefix.length - 96u, .address_be = v4_key(prefix.base)};
}

guard_prefix_v6 v6_key(const IpPrefix& prefix) {
  return {.length = prefix.length, .address = v6_key(prefix.base)};
}

// Calls `use` with the key of its family and the map that goes with it.
template <typename Object, typename Use>
auto with_key(bool v4, const Object& object, const UniqueFd& v4_map, const UniqueFd& v6_map,
              Use use) {
  if (v4) {
    const auto key = v4_key(object);
    return use(v4_map.get(), &key);
  }
  const auto key = v6_key(object);
  return use(v6_map.get(), &key);
}

Result<void> update(int map, const void* key, const void* value, const IpPrefix& prefix) {
  if (bpf_map_update_elem(map, key, value, BPF_ANY) == 0) return {};
  return fail_sys("cannot add " + prefix.to_string() + " to the XDP filter", errno);
}

}  // namespace

XdpGeneration::HitCounters::HitCounters(HitCounters&& other) noexcept
    : counters(std::exchange(other.counters, nullptr)),
      bytes(other.bytes),
      per_cpu(other.per_cpu),
      cpus(other.cpus) {}

XdpGeneration::HitCounters& XdpGeneration::HitCounters::operator=(HitCounters&& other) noexcept {
  std::swap(counters, other.counters);
  std::swap(bytes, other.bytes);
  std::swap(per_cpu, other.per_cpu);
  std::swap(cpus, other.cpus);
  return *this;
}

XdpGeneration::HitCounters::~HitCounters() {
  if (counters) ::munmap(const_cast<std::uint64_t*>(counters), bytes);
}

std::uint64_t XdpGeneration::HitCounters::sum(std::uint32_t slot) const {
  std::uint64_t total = 0;
  for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) total += counters[cpu * per_cpu + slot];
  return total;
}

void XdpGeneration::HitCounters::clear(std::uint32_t slot) {
  for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) counters[cpu * per_cpu + slot] = 0;
}

Result<XdpGeneration> XdpGeneration::create(const XdpSettings& settings,
                                            std::span<const GuardEntry> addresses,
                                            std::span<const GuardEntry> prefixes) {
  XdpGeneration generation;
  if (auto made = generation.make_maps(addresses.size(), prefixes.size()); !made) {
    return std::unexpected(made.error());
  }
  guard_settings& raw = generation.settings_;
  raw.default_deny = settings.default_deny;
  raw.block_listeners = settings.block_listeners;
  raw.hits_per_cpu = generation.counters_.per_cpu;
  IpAddress ones;
  ones.bytes.fill(0xff);
  raw.ban_mask_v6 = v6_key(ones.masked(settings.ban_length_v6));
  for (const std::uint16_t port : settings.listener_ports) {
    raw.listener_ports[port / 64] |= std::uint64_t{1} << port % 64;
  }
  for (const GuardEntry& entry : addresses) {
    const auto set = generation.set_address(entry.prefix.base, entry.term);
    if (!set) return std::unexpected(set.error());
  }
  for (const GuardEntry& entry : prefixes) {
    const auto set = generation.set_prefix(entry.prefix, entry.term);
    if (!set) return std::unexpected(set.error());
  }
  return generation;
}

Result<void> XdpGeneration::make_maps(std::size_t addresses, std::size_t prefixes) {
  // A change adds before it removes, so for a moment both sets are there.
  const std::size_t tries = 2 * (prefixes + limits::guard_commands_max);
  const std::size_t hashes = addresses + limits::guard_commands_max;
  counters_.per_cpu = static_cast<std::uint32_t>(prefixes) + 1 + spare_slots;
  counters_.cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
  const std::size_t slots = std::size_t{counters_.per_cpu} * counters_.cpus;

  constexpr std::uint32_t value = sizeof(guard_value);
  constexpr std::uint32_t grow = BPF_F_NO_PREALLOC;
  const struct {
    UniqueFd& map;
    MapShape shape;
    std::size_t entries;
  } maps[] = {
      {exact_v4_, {"exact_v4", BPF_MAP_TYPE_HASH, sizeof(__be32), value, grow}, hashes},
      {exact_v6_, {"exact_v6", BPF_MAP_TYPE_HASH, sizeof(guard_address_v6), value, grow}, hashes},
      {prefix_v4_,
       {"prefix_v4", BPF_MAP_TYPE_LPM_TRIE, sizeof(guard_prefix_v4), value, grow},
       tries},
      {prefix_v6_,
       {"prefix_v6", BPF_MAP_TYPE_LPM_TRIE, sizeof(guard_prefix_v6), value, grow},
       tries},
      {bans_v4_,
       {"bans_v4", BPF_MAP_TYPE_HASH, sizeof(__be32), sizeof(guard_ban), grow},
       limits::bans_max},
      {bans_v6_,
       {"bans_v6", BPF_MAP_TYPE_HASH, sizeof(guard_address_v6), sizeof(guard_ban), grow},
       limits::bans_max},
      {prefix_hits_,
       {"prefix_hits", BPF_MAP_TYPE_ARRAY, sizeof(__u32), sizeof(__u64),
        BPF_F_INNER_MAP | BPF_F_MMAPABLE},
       slots},
  };
  for (const auto& [map, shape, entries] : maps) {
    Result<UniqueFd> created = create_map(shape, entries);
    if (!created) return std::unexpected(created.error());
    map = std::move(*created);
  }

  counters_.bytes = slots * sizeof(__u64);
  void* mapped =
      ::mmap(nullptr, counters_.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, prefix_hits_.get(), 0);
  if (mapped == MAP_FAILED) return fail_sys("cannot map the counters of the XDP filter", errno);
  counters_.counters = static_cast<volatile std::uint64_t*>(mapped);
  for (std::uint32_t slot = counters_.per_cpu - 1; slot > 0; --slot) free_slots_.push_back(slot);
  return {};
}

Result<void> XdpGeneration::apply(const GuardChange& change) {
  if (!change.term) {
    erase(change.prefix);
    return {};
  }
  if (is_single_address(change.prefix)) return set_address(change.prefix.base, *change.term);
  return set_prefix(change.prefix, *change.term);
}

Result<void> XdpGeneration::set_address(const IpAddress& address, const GuardTerm& term) {
  return with_key(address.is_v4(), address, exact_v4_, exact_v6_,
                  [&](int map, const void* key) -> Result<void> {
                    guard_value value{};
                    // Hits go on where the entry was there before.
                    bpf_map_lookup_elem(map, key, &value);
                    value.allow_until_s = term.allow_until;
                    value.block_until_s = term.block_until;
                    return update(map, key, &value, {.base = address, .length = 128});
                  });
}

Result<void> XdpGeneration::set_prefix(const IpPrefix& prefix, const GuardTerm& term) {
  const guard_value value{.allow_until_s = term.allow_until,
                          .block_until_s = term.block_until,
                          .hits_slot = take_slot(prefix)};
  return with_key(is_v4_prefix(prefix), prefix, prefix_v4_, prefix_v6_,
                  [&](int map, const void* key) { return update(map, key, &value, prefix); });
}

std::uint32_t XdpGeneration::take_slot(const IpPrefix& prefix) {
  const auto [entry, is_new] = slots_.emplace(prefix, 0);
  if (is_new && !free_slots_.empty()) {
    entry->second = free_slots_.back();
    free_slots_.pop_back();
    counters_.clear(entry->second);
  }
  return entry->second;
}

void XdpGeneration::erase(const IpPrefix& prefix) {
  const bool v4 = is_v4_prefix(prefix);
  const auto remove = [](int map, const void* key) { return bpf_map_delete_elem(map, key); };
  if (is_single_address(prefix)) {
    with_key(v4, prefix.base, exact_v4_, exact_v6_, remove);
    return;
  }
  with_key(v4, prefix, prefix_v4_, prefix_v6_, remove);
  const auto slot = slots_.find(prefix);
  if (slot == slots_.end()) return;
  if (slot->second != 0) free_slots_.push_back(slot->second);
  slots_.erase(slot);
}

Result<void> XdpGeneration::ban(const Ban& ban) {
  const guard_ban value{.until_s = ban.until};
  return with_key(is_v4_prefix(ban.source), ban.source.base, bans_v4_, bans_v6_,
                  [&](int map, const void* key) { return update(map, key, &value, ban.source); });
}

void XdpGeneration::unban(const IpPrefix& source) {
  with_key(is_v4_prefix(source), source.base, bans_v4_, bans_v6_,
           [](int map, const void* key) { return bpf_map_delete_elem(map, key); });
}

// Of a prefix without a slot; the entry itself counts.
std::uint64_t XdpGeneration::uncounted_hits(const IpPrefix& prefix) const {
  guard_value value{};
  with_key(is_v4_prefix(prefix), prefix, prefix_v4_, prefix_v6_,
           [&](int map, const void* key) { return bpf_map_lookup_elem(map, key, &value); });
  return value.hits;
}

void XdpGeneration::drain() {
  while (!slots_.empty()) erase(IpPrefix(slots_.begin()->first));
}

}  // namespace sni
