/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Keys and values of every map of xdp_ip_filter, for both compilers. Edit here only. Padding is
 * explicit and sizes are checked below: a hole in a key would be a silent map miss.
 *
 * A generation is one complete set of maps: slot [generation] of each array of maps, and
 * GUARD_SETTINGS[generation]. Userspace fills the slot that is not in use and then stores its index
 * in `guard_generation`, which the program reads once per packet. */

#include <linux/types.h>

#ifdef __cplusplus
#define SNI_STATIC_ASSERT static_assert
#else
#define SNI_STATIC_ASSERT _Static_assert
#endif

#define GUARD_GENERATIONS 2

/* Exact addresses are spread over this many hash maps. The kernel builds the free list of a map in
 * one go (pcpu_freelist_populate), and a million entries in one map would stall a CPU for 25 ms. */
#define GUARD_SHARDS 16

/* `until` values are whole seconds of CLOCK_BOOTTIME; an entry is live while now < until. */
#define GUARD_NEVER_EXPIRES 0xffffffffu

/* The program's verdict on a packet. */
enum guard_reason {
  GUARD_PASS_UNLISTED = 0, /* Nothing applies to the source. */
  GUARD_PASS_ALLOWED,      /* On the allowlist. */
  GUARD_PASS_NEIGHBOUR,    /* Neighbour discovery from any source. */
  GUARD_PASS_NOT_LISTENER, /* Blocked, but not to a port of the proxy. */
  GUARD_PASS_NOT_PARSED,   /* Not IP, or malformed: the stack decides. */
  GUARD_DROP_BLOCKED,      /* On the blocklist. */
  GUARD_DROP_BANNED,       /* Banned by the proxy itself. */
  GUARD_DROP_NOT_ALLOWED,  /* default = "deny". */
  GUARD_REASONS,
};

enum guard_protocol {
  GUARD_OTHER = 0, /* ARP, unknown ethertypes, truncated frames. */
  GUARD_IPV4,
  GUARD_IPV6,
  GUARD_PROTOCOLS,
};

/* TRAFFIC_STATS: per-CPU packets by [reason * GUARD_PROTOCOLS + protocol]. */
#define GUARD_COUNTERS ((__u32)GUARD_REASONS * (__u32)GUARD_PROTOCOLS)

/* EXACT_*, PREFIX_*. Each entry is the whole answer for the addresses of which it is the longest
 * match: userspace has merged the terms of shorter prefixes into it (core/guard/guard_prefixes.h).
 * */
struct guard_value {
  __u32 allow_until_s;
  __u32 block_until_s;
  __u32 hits_slot; /* Index in PREFIX_HITS; 0: counted in `hits`. */
  __u32 pad;
  __u64 hits; /* Packets dropped; for one address, so CPUs rarely contend for it. */
};
SNI_STATIC_ASSERT(sizeof(struct guard_value) == 24, "guard_value has a hole");

/* EXACT_V4 and BANS_V4 are keyed by the address, in network order. */
struct guard_address_v6 {
  __be32 words_be[4];
};
SNI_STATIC_ASSERT(sizeof(struct guard_address_v6) == 16, "guard_address_v6 has a hole");

/* The hash map of an address, from its words xored together. */
static inline __u32 guard_shard(__u32 folded) {
  folded ^= folded >> 16;
  folded ^= folded >> 8;
  return folded % GUARD_SHARDS;
}

static inline __u32 guard_fold_v6(const struct guard_address_v6* address) {
  return address->words_be[0] ^ address->words_be[1] ^ address->words_be[2] ^ address->words_be[3];
}

struct guard_prefix_v4 {
  __u32 length; /* Bits, 0..32, as BPF_MAP_TYPE_LPM_TRIE requires. */
  __be32 address_be;
};
SNI_STATIC_ASSERT(sizeof(struct guard_prefix_v4) == 8, "guard_prefix_v4 has a hole");

struct guard_prefix_v6 {
  __u32 length; /* Bits, 0..128. */
  struct guard_address_v6 address;
};
SNI_STATIC_ASSERT(sizeof(struct guard_prefix_v6) == 20, "guard_prefix_v6 has a hole");

/* BANS_V4 by address, BANS_V6 by the address under guard_settings.ban_mask_v6; link-local addresses
 * are not masked. */
struct guard_ban {
  __u32 until_s;
  __u32 pad;
  __u64 hits;
};
SNI_STATIC_ASSERT(sizeof(struct guard_ban) == 16, "guard_ban has a hole");

struct guard_settings {
  __u32 default_deny;    /* 1: listeners serve only the allowlist. */
  __u32 block_listeners; /* 1: a block covers the listeners only; 0: every packet. */
  __u32 hits_per_cpu;    /* PREFIX_HITS has this many slots per CPU. */
  __u32 pad;
  struct guard_address_v6 ban_mask_v6;
  __u64 listener_ports[65536 / 64]; /* One bit per TCP port, host order. */
};
SNI_STATIC_ASSERT(sizeof(struct guard_settings) == 32 + 8192, "guard_settings has a hole");
