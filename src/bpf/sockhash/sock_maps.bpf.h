/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* The maps of the SOCKHASH programs, and functions that the programs share. Kernel structures
 * declare only the members that we read, and CO-RE relocates them, so that an object built on one
 * kernel loads on others.
 */

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/sockhash/sock_shared.h"

#define ALWAYS_INLINE static __attribute__((always_inline)) inline

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct tcp_ulp_ops;
struct sock_common {
  unsigned long skc_flags;
};
struct file {
  unsigned int f_flags;
};
struct socket {
  struct file* file;
};
struct sock {
  struct sock_common __sk_common;
  struct socket* sk_socket;
};
struct inet_sock {
  struct sock sk;
};
struct inet_connection_sock {
  struct inet_sock icsk_inet;
  const struct tcp_ulp_ops* icsk_ulp_ops;
};
struct tcp_sock {
  struct inet_connection_sock inet_conn;
  __u32 copied_seq;
  __u32 write_seq;
};
enum sock_flags { SOCK_ZEROCOPY = 1 };
#pragma clang attribute pop

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Targets: clients' sockets. No program is attached, so their receive side stays plain TCP. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __type(key, __u64);
  __type(value, __u64);
  __uint(max_entries, 65536);
} SOCK_MAP SEC(".maps");

/* The proxy's sockets to remote backends; redirect_skb is attached. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __type(key, __u64);
  __type(value, __u64);
  __uint(max_entries, 65536);
} SOURCE_MAP SEC(".maps");

/* Accepted sockets of backends on this host; redirect_msg is attached. There is no stream verdict,
 * which would divert what the backend receives. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __type(key, __u64);
  __type(value, __u64);
  __uint(max_entries, 65536);
} LOCAL_MAP SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct sock_slot);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_MMAPABLE);
} SLOT_STATE SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, SOCK_STATS);
} TRAFFIC_STATS SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u64);
  __type(value, struct sock_pair);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} REGISTERED SEC(".maps");

/* Entries of remote backends are never claimed; LRU evicts them. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct sock_tuple);
  __type(value, struct sock_expected);
  __uint(max_entries, 16384);
} EXPECTED SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sock_local);
} LOCAL_STATE SEC(".maps");

/* From a source's cookie to its pair: sk_skb has no socket storage. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u64);
  __type(value, struct sock_pair);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} SOURCE_PAIR SEC(".maps");

/* One ring buffer per worker: a ring buffer has one consumer. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, SOCK_WORKERS_MAX);
  __type(key, __u32);
  __array(
      values, struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, SOCK_RING_BYTES);
      });
} NOTICES SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct sock_listener);
  __type(value, struct sock_manner);
  __uint(max_entries, 4096);
} LISTENERS SEC(".maps");

/* bpf_ktime_get_ns() of when a program began to listen there, or when we first saw it. The key has
 * no address: a program that listens on all addresses invalidates the result for each. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct sock_port);
  __type(value, __u64);
  __uint(max_entries, 4096);
} LISTENING SEC(".maps");

ALWAYS_INLINE void count(__u32 stat, __u64 amount) {
  __u64* value = bpf_map_lookup_elem(&TRAFFIC_STATS, &stat);
  if (value) *value += amount;
}

ALWAYS_INLINE int pass(__u32 why) {
  count(why, 1);
  return SK_PASS;
}

/* The slot, if it still belongs to this owner's pair. */
ALWAYS_INLINE struct sock_slot* slot_of(__u32 index, __u64 owner) {
  struct sock_slot* slot = bpf_map_lookup_elem(&SLOT_STATE, &index);
  if (!slot || *(volatile __u64*)&slot->owner != owner) return 0;
  return slot;
}
