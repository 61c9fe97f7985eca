#include "bpf/xdp/xdp_generation.h"

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

// Prefixes that commands can add before hits of further ones are counted at a higher cost.
constexpr std::uint32_t spare_slots = 4096;

// Single addresses that commands can add per shard: an even share plus a quarter. The memory is
// allocated at the start: 13 MiB for both families together.
constexpr std::size_t spare_addresses = limits::guard_commands_max / GUARD_SHARDS * 5 / 4;

struct MapShape {
  const char* name;
  bpf_map_type type;
  std::size_t key_bytes;
  std::size_t value_bytes;
  std::uint32_t flags;
};

Result<void> create_map(UniqueFd& map, const MapShape& shape, std::size_t entries) {
  const bpf_map_create_opts options{.sz = sizeof options, .map_flags = shape.flags};
  map = UniqueFd::adopt(bpf_map_create(shape.type, shape.name,
                                       static_cast<std::uint32_t>(shape.key_bytes),
                                       static_cast<std::uint32_t>(shape.value_bytes),
                                       static_cast<std::uint32_t>(entries), &options));
  if (map) return {};
  return fail_sys("cannot create the BPF map " + std::string(shape.name) + " of " +
                      std::to_string(entries) + " entries",
                  errno);
}

// A key in the form of its family.
union AddressKey {
  __be32 v4;
  guard_address_v6 v6;
};

union PrefixKey {
  guard_prefix_v4 v4;
  guard_prefix_v6 v6;
};

AddressKey key_of(const IpAddress& address) {
  AddressKey key{};
  if (address.is_v4()) {
    std::memcpy(&key.v4, &address.bytes[12], sizeof key.v4);
  } else {
    key.v6 = std::bit_cast<guard_address_v6>(address.bytes);
  }
  return key;
}

PrefixKey key_of(const IpPrefix& prefix) {
  const AddressKey base = key_of(prefix.base);
  PrefixKey key{};
  if (is_v4_prefix(prefix)) {
    key.v4 = {.length = prefix.length - 96u, .address_be = base.v4};
  } else {
    key.v6 = {.length = prefix.length,
              .address = std::bit_cast<guard_address_v6>(prefix.base.bytes)};
  }
  return key;
}

std::size_t shard_of(const IpAddress& address) {
  const AddressKey key = key_of(address);
  return guard_shard(address.is_v4() ? key.v4 : guard_fold_v6(&key.v6));
}

Result<void> update(const UniqueFd& map, const void* key, const void* value,
                    const IpPrefix& prefix) {
  if (bpf_map_update_elem(map.get(), key, value, BPF_ANY) == 0) return {};
  return fail_sys("cannot add " + prefix.to_string() + " to the XDP filter", errno);
}

}  // namespace

XdpGeneration::HitCounters::HitCounters(HitCounters&& other) noexcept
    : mapped(std::exchange(other.mapped, nullptr)),
      bytes(other.bytes),
      per_cpu(other.per_cpu),
      cpus(other.cpus) {}

XdpGeneration::HitCounters& XdpGeneration::HitCounters::operator=(HitCounters&& other) noexcept {
  std::swap(mapped, other.mapped);
  std::swap(bytes, other.bytes);
  std::swap(per_cpu, other.per_cpu);
  std::swap(cpus, other.cpus);
  return *this;
}

XdpGeneration::HitCounters::~HitCounters() {
  if (mapped) ::munmap(mapped, bytes);
}

std::uint64_t XdpGeneration::HitCounters::sum(std::uint32_t slot) const {
  std::uint64_t total = 0;
  for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) total += at(cpu * per_cpu + slot);
  return total;
}

void XdpGeneration::HitCounters::clear(std::uint32_t slot) const {
  for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) at(cpu * per_cpu + slot) = 0;
}

Result<XdpGeneration> XdpGeneration::create(const XdpSettings& settings,
                                            std::span<const GuardEntry> addresses,
                                            std::span<const GuardEntry> prefixes) {
  XdpGeneration generation;
  for (const bool v4 : {true, false}) {
    Family& family = v4 ? generation.v4_ : generation.v6_;
    const auto made = generation.make_family(family, v4, addresses, prefixes.size());
    if (!made) return std::unexpected(made.error());
  }
  if (auto made = generation.make_counters(prefixes.size()); !made) {
    return std::unexpected(made.error());
  }
  guard_settings& raw = generation.settings_;
  raw.default_deny = settings.default_deny;
  raw.block_listeners = settings.block_listeners;
  raw.hits_per_cpu = generation.counters_.per_cpu;
  IpAddress ones;
  ones.bytes.fill(0xff);
  raw.ban_mask_v6 = std::bit_cast<guard_address_v6>(ones.masked(settings.ban_length_v6).bytes);
  for (const std::uint16_t port : settings.listener_ports) {
    raw.listener_ports[port / 64] |= std::uint64_t{1} << port % 64;
  }
  for (const GuardEntry& entry : addresses) {
    const auto set = generation.set_address(entry.prefix.base, entry.term, 0);
    if (!set) return std::unexpected(set.error());
  }
  for (const GuardEntry& entry : prefixes) {
    const auto set = generation.set_prefix(entry.prefix, entry.term);
    if (!set) return std::unexpected(set.error());
  }
  return generation;
}

Result<void> XdpGeneration::make_family(Family& family, bool v4,
                                        std::span<const GuardEntry> addresses,
                                        std::size_t prefixes) {
  std::array<std::size_t, GUARD_SHARDS> sizes{};
  for (const GuardEntry& entry : addresses) {
    if (entry.prefix.base.is_v4() == v4) ++sizes[shard_of(entry.prefix.base)];
  }
  // Allocates all entries at once, so that the kernel frees a shard as pages. Entries allocated one
  // by one are also freed one by one, in one callback that stalls a CPU for 12 ms per 60,000.
  constexpr std::uint32_t preallocated = 0;
  const std::size_t address_bytes = v4 ? sizeof(__be32) : sizeof(guard_address_v6);
  const MapShape exact{v4 ? "exact_v4" : "exact_v6", BPF_MAP_TYPE_HASH, address_bytes,
                       sizeof(guard_value), preallocated};
  for (std::size_t shard = 0; shard < GUARD_SHARDS; ++shard) {
    auto made = create_map(family.exact[shard], exact, sizes[shard] + spare_addresses);
    if (!made) return made;
  }
  // If a map has far fewer entries than its maximum, memory is allocated on demand.
  constexpr std::uint32_t grow = BPF_F_NO_PREALLOC;
  const MapShape bans{v4 ? "bans_v4" : "bans_v6", BPF_MAP_TYPE_HASH, address_bytes,
                      sizeof(guard_ban), grow};
  if (auto made = create_map(family.bans, bans, limits::bans_max); !made) return made;
  const MapShape tries{v4 ? "prefix_v4" : "prefix_v6", BPF_MAP_TYPE_LPM_TRIE,
                       v4 ? sizeof(guard_prefix_v4) : sizeof(guard_prefix_v6), sizeof(guard_value),
                       grow};
  // A change adds before it removes, so for a moment the map holds both sets.
  return create_map(family.prefixes, tries, 2 * (prefixes + limits::guard_commands_max));
}

Result<void> XdpGeneration::make_counters(std::size_t prefixes) {
  counters_.per_cpu = static_cast<std::uint32_t>(prefixes) + 1 + spare_slots;
  counters_.cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
  const std::size_t slots = std::size_t{counters_.per_cpu} * counters_.cpus;
  const MapShape shape{"prefix_hits", BPF_MAP_TYPE_ARRAY, sizeof(__u32), sizeof(__u64),
                       BPF_F_INNER_MAP | BPF_F_MMAPABLE};
  if (auto made = create_map(prefix_hits_, shape, slots); !made) return made;

  counters_.bytes = slots * sizeof(__u64);
  void* mapped =
      ::mmap(nullptr, counters_.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, prefix_hits_.get(), 0);
  if (mapped == MAP_FAILED) return fail_sys("cannot map the counters of the XDP filter", errno);
  counters_.mapped = mapped;
  for (std::uint32_t slot = counters_.per_cpu - 1; slot > 0; --slot) free_slots_.push_back(slot);
  return {};
}

Result<void> XdpGeneration::apply(const GuardChange& change) {
  if (!change.term) {
    erase(change.prefix);
    return {};
  }
  if (is_single_address(change.prefix)) {
    return set_address(change.prefix.base, *change.term, hits_in_entry(change.prefix));
  }
  return set_prefix(change.prefix, *change.term);
}

Result<void> XdpGeneration::set_address(const IpAddress& address, const GuardTerm& term,
                                        std::uint64_t hits) {
  const IpPrefix prefix{.base = address, .length = 128};
  const AddressKey key = key_of(address);
  const guard_value value{
      .allow_until_s = term.allow_until, .block_until_s = term.block_until, .hits = hits};
  return update(family_of(prefix).exact[shard_of(address)], &key, &value, prefix);
}

Result<void> XdpGeneration::set_prefix(const IpPrefix& prefix, const GuardTerm& term) {
  const PrefixKey key = key_of(prefix);
  const guard_value value{.allow_until_s = term.allow_until,
                          .block_until_s = term.block_until,
                          .hits_slot = take_slot(prefix)};
  return update(family_of(prefix).prefixes, &key, &value, prefix);
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
  const Family& family = family_of(prefix);
  if (is_single_address(prefix)) {
    const AddressKey key = key_of(prefix.base);
    bpf_map_delete_elem(family.exact[shard_of(prefix.base)].get(), &key);
    return;
  }
  const PrefixKey key = key_of(prefix);
  bpf_map_delete_elem(family.prefixes.get(), &key);
  const auto slot = slots_.find(prefix);
  if (slot == slots_.end()) return;
  if (slot->second != 0) free_slots_.push_back(slot->second);
  slots_.erase(slot);
}

Result<void> XdpGeneration::ban(const Ban& ban) {
  const AddressKey key = key_of(ban.source.base);
  const guard_ban value{.until_s = ban.until};
  return update(family_of(ban.source).bans, &key, &value, ban.source);
}

void XdpGeneration::unban(const IpPrefix& source) {
  const AddressKey key = key_of(source.base);
  bpf_map_delete_elem(family_of(source).bans.get(), &key);
}

// Packets counted in the entry itself: for an address, or a prefix without a slot.
std::uint64_t XdpGeneration::hits_in_entry(const IpPrefix& prefix) const {
  const Family& family = family_of(prefix);
  guard_value value{};
  if (is_single_address(prefix)) {
    const AddressKey key = key_of(prefix.base);
    bpf_map_lookup_elem(family.exact[shard_of(prefix.base)].get(), &key, &value);
  } else {
    const PrefixKey key = key_of(prefix);
    bpf_map_lookup_elem(family.prefixes.get(), &key, &value);
  }
  return value.hits;
}

bool XdpGeneration::drain_some() {
  constexpr int at_a_time = 256;
  if (!slots_.empty()) {
    for (int i = 0; i < at_a_time && !slots_.empty(); ++i) erase(IpPrefix(slots_.begin()->first));
    return true;
  }
  for (Family* family : {&v4_, &v6_}) {
    const auto shard = std::ranges::find_if(family->exact, &UniqueFd::operator bool);
    if (shard == family->exact.end()) continue;
    shard->reset();
    return true;
  }
  return false;
}

}  // namespace sni
