/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Drops packets of blocked sources before the network stack sees them.
 *
 * The source address is looked up in the exact hash map, else in the prefix trie; the entry found
 * is the whole answer of the lists (xdp_shared.h). The order is: allowed sources pass; blocked ones
 * are dropped; banned ones and, with default = "deny", all others are dropped if they address the
 * proxy's own ports. Packets that the program does not understand pass, and so do ARP and neighbour
 * discovery, without which a blocked gateway would cut the host off. Userspace checks the same
 * lists again at accept.
 *
 * Every packet is counted once, per CPU, by reason and protocol; drops also by the entry that
 * matched. */

#include "bpf/xdp/xdp_parse.bpf.h"
#include "bpf/xdp/xdp_shared.h"

#define NS_PER_S 1000000000ull

/* The generation that packets are judged by. Userspace writes it, after filling that generation. */
volatile __u32 guard_generation;

/* Inner maps are only templates; userspace makes its own, sized for the lists. They have sizes
 * instead of types: clang leaves types that only inner maps name out of the BTF. */
struct exact_v4 {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__be32));
  __uint(value_size, sizeof(struct guard_value));
};

struct exact_v6 {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct guard_address_v6));
  __uint(value_size, sizeof(struct guard_value));
};

struct prefix_v4 {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct guard_prefix_v4));
  __uint(value_size, sizeof(struct guard_value));
};

struct prefix_v6 {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct guard_prefix_v6));
  __uint(value_size, sizeof(struct guard_value));
};

struct bans_v4 {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__be32));
  __uint(value_size, sizeof(struct guard_ban));
};

struct bans_v6 {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct guard_address_v6));
  __uint(value_size, sizeof(struct guard_ban));
};

/* Packets dropped by prefix entries: slot [cpu * hits_per_cpu + hits_slot]. Each CPU has its own
 * area of counters, so that a flood from one prefix does not make CPUs contend for a cache line. */
struct prefix_hits {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u64));
};

#define GENERATIONS_OF(inner, maps, name)          \
  struct {                                         \
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);      \
    __uint(max_entries, GUARD_GENERATIONS*(maps)); \
    __type(key, __u32);                            \
    __array(values, struct inner);                 \
  } name SEC(".maps")

GENERATIONS_OF(exact_v4, GUARD_SHARDS, EXACT_V4);
GENERATIONS_OF(exact_v6, GUARD_SHARDS, EXACT_V6);
GENERATIONS_OF(prefix_v4, 1, PREFIX_V4);
GENERATIONS_OF(prefix_v6, 1, PREFIX_V6);
GENERATIONS_OF(bans_v4, 1, BANS_V4);
GENERATIONS_OF(bans_v6, 1, BANS_V6);
GENERATIONS_OF(prefix_hits, 1, PREFIX_HITS);

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, GUARD_GENERATIONS);
  __type(key, __u32);
  __type(value, struct guard_settings);
} GUARD_SETTINGS SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, GUARD_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} TRAFFIC_STATS SEC(".maps");

/* The results of one packet's lookups in the maps of its family. */
struct source {
  __u32 generation;
  enum guard_protocol protocol;
  const struct guard_settings* settings;
  struct guard_value* listed; /* NULL: on no list. */
  struct guard_ban* ban;      /* NULL: not banned. */
  int target_port;            /* -1: not TCP, or unknown. */
};

static __always_inline int finish(enum guard_reason reason, enum guard_protocol protocol) {
  __u32 key = reason * GUARD_PROTOCOLS + protocol;
  __u64* packets = bpf_map_lookup_elem(&TRAFFIC_STATS, &key);
  if (packets) *packets += 1;
  return reason >= GUARD_DROP_BLOCKED ? XDP_DROP : XDP_PASS;
}

/* An entry of the map that `index` selects. */
static __always_inline void* find(void* maps, __u32 index, const void* key) {
  void* map = bpf_map_lookup_elem(maps, &index);
  return map ? bpf_map_lookup_elem(map, key) : NULL;
}

/* The clock is read only if an entry can expire. */
static __always_inline int is_live(__u32 until_s) {
  if (until_s == 0) return 0;
  if (until_s == GUARD_NEVER_EXPIRES) return 1;
  return bpf_ktime_get_boot_ns() / NS_PER_S < until_s;
}

static __always_inline void count_hit(const struct source* source) {
  struct guard_value* listed = source->listed;
  if (!listed->hits_slot) {
    __sync_fetch_and_add(&listed->hits, 1);
    return;
  }
  __u32 key = bpf_get_smp_processor_id() * source->settings->hits_per_cpu + listed->hits_slot;
  __u64* hits = find(&PREFIX_HITS, source->generation, &key);
  if (hits) *hits += 1;
}

static __always_inline int is_listener(const struct guard_settings* settings, int port) {
  if (port < 0) return 0;
  return settings->listener_ports[(port >> 6) & 1023] >> (port & 63) & 1;
}

static __always_inline int judge(const struct source* source) {
  const struct guard_settings* settings = source->settings;
  /* The allowlist wins over everything. */
  if (source->listed && is_live(source->listed->allow_until_s))
    return finish(GUARD_PASS_ALLOWED, source->protocol);

  int to_listener = is_listener(settings, source->target_port);
  if (source->listed && is_live(source->listed->block_until_s)) {
    if (settings->block_listeners && !to_listener)
      return finish(GUARD_PASS_NOT_LISTENER, source->protocol);
    count_hit(source);
    return finish(GUARD_DROP_BLOCKED, source->protocol);
  }
  /* Bans and the default never reach beyond the listeners: a busy resolver, a backend or the
   * operator's own terminal must not be cut off by them. */
  if (!to_listener) return finish(GUARD_PASS_UNLISTED, source->protocol);
  if (source->ban && is_live(source->ban->until_s)) {
    __sync_fetch_and_add(&source->ban->hits, 1);
    return finish(GUARD_DROP_BANNED, source->protocol);
  }
  if (settings->default_deny) return finish(GUARD_DROP_NOT_ALLOWED, source->protocol);
  return finish(GUARD_PASS_UNLISTED, source->protocol);
}

static __always_inline int filter_ipv4(struct cursor* cursor, struct source* source) {
  struct iphdr* ip = take(cursor, sizeof(*ip));
  if (!ip || ip->version != 4) return finish(GUARD_PASS_NOT_PARSED, GUARD_IPV4);

  __be32 address_be = ip->saddr;
  struct guard_prefix_v4 prefix = {.length = 32, .address_be = address_be};
  source->protocol = GUARD_IPV4;
  __u32 exact = source->generation * GUARD_SHARDS + guard_shard(address_be);
  source->listed = find(&EXACT_V4, exact, &address_be);
  if (!source->listed) source->listed = find(&PREFIX_V4, source->generation, &prefix);
  source->ban = find(&BANS_V4, source->generation, &address_be);
  source->target_port = ipv4_target_port(cursor, ip);
  return judge(source);
}

/* fe80::/10, where addresses of different hosts share a prefix. */
static __always_inline int is_link_local(const struct in6_addr* address) {
  return (address->in6_u.u6_addr32[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline int filter_ipv6(struct cursor* cursor, struct source* source) {
  struct ipv6hdr* ip = take(cursor, sizeof(*ip));
  if (!ip || ip->version != 6) return finish(GUARD_PASS_NOT_PARSED, GUARD_IPV6);
  if (is_neighbour_discovery(ip, *cursor)) return finish(GUARD_PASS_NEIGHBOUR, GUARD_IPV6);

  struct guard_prefix_v6 prefix = {.length = 128};
  __builtin_memcpy(&prefix.address, &ip->saddr, sizeof(prefix.address));
  struct guard_address_v6 banned = prefix.address;
  if (!is_link_local(&ip->saddr)) {
    for (int i = 0; i < 4; i++) banned.words_be[i] &= source->settings->ban_mask_v6.words_be[i];
  }
  source->protocol = GUARD_IPV6;
  __u32 exact = source->generation * GUARD_SHARDS + guard_shard(guard_fold_v6(&prefix.address));
  source->listed = find(&EXACT_V6, exact, &prefix.address);
  if (!source->listed) source->listed = find(&PREFIX_V6, source->generation, &prefix);
  source->ban = find(&BANS_V6, source->generation, &banned);
  source->target_port = ipv6_target_port(cursor, ip);
  return judge(source);
}

SEC("xdp.frags")
int xdp_ip_filter(struct xdp_md* context) {
  struct cursor cursor = {
      .position = (void*)(long)context->data,
      .end = (void*)(long)context->data_end,
  };
  __be16 ethertype_be = take_ethernet(&cursor);

  /* Read once: every map below is of the same generation. */
  struct source source = {.generation = guard_generation % GUARD_GENERATIONS};
  source.settings = bpf_map_lookup_elem(&GUARD_SETTINGS, &source.generation);
  if (!source.settings) return finish(GUARD_PASS_NOT_PARSED, GUARD_OTHER); /* Cannot happen. */

  if (ethertype_be == bpf_htons(ETH_P_IP)) return filter_ipv4(&cursor, &source);
  if (ethertype_be == bpf_htons(ETH_P_IPV6)) return filter_ipv6(&cursor, &source);
  return finish(GUARD_PASS_NOT_PARSED, GUARD_OTHER);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
