/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* The maps of the packet plane, its counters and events, and the arithmetic of numbers that several
 * CPUs advance at once. */

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/packet/packet_shared.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 2); /* Sized by userspace: two entries per flow. */
  __type(key, struct packet_key);
  __type(value, struct packet_flow);
} PACKET_FLOWS SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, PACKET_RING_BYTES);
} PACKET_EVENTS SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PACKET_STATS);
  __type(key, __u32);
  __type(value, __u64);
} TRAFFIC_STATS SEC(".maps");

static __always_inline void count(enum packet_stat stat, __u64 add) {
  __u32 key = stat;
  __u64* counter = bpf_map_lookup_elem(&TRAFFIC_STATS, &key);
  if (counter) *counter += add;
}

static __always_inline struct packet_flow* find_flow(const struct packet_key* key) {
  return bpf_map_lookup_elem(&PACKET_FLOWS, key);
}

/* Sequence numbers wrap: `a` is before `b` if a - b is more than half of the space. */
static __always_inline int is_before(__u32 a, __u32 b) {
  return (__s32)(a - b) < 0;
}

/* A lost race means that another CPU has moved the number, by less or by more. After eight lost
 * races the next packet does it. */
#define RAISE_TRIES 8

/* Moves *number forward to `to`. */
static __always_inline void raise_to(__u32* number, __u32 to) {
  for (int i = 0; i < RAISE_TRIES; i++) {
    __u32 old = *(volatile __u32*)number;
    if (!is_before(old, to)) return;
    if (__sync_val_compare_and_swap(number, old, to) == old) return;
  }
}

/* The same for a number that is extended to 64 bits: its low half moves forward to `to`. */
static __always_inline void raise_extended(__u64* number, __u32 to) {
  for (int i = 0; i < RAISE_TRIES; i++) {
    __u64 old = *(volatile __u64*)number;
    __s32 step = to - (__u32)old;
    if (step <= 0) return;
    if (__sync_val_compare_and_swap(number, old, old + step) == old) return;
  }
}

/* Sets marks and returns those that were not set before. */
static __always_inline __u32 mark(struct packet_flow* flow, __u32 marks) {
  return marks & ~__sync_fetch_and_or(&flow->marks, marks);
}

static __always_inline void emit(const struct packet_flow* about, const struct packet_flow* peer,
                                 enum packet_event_kind kind) {
  struct packet_event* event = bpf_ringbuf_reserve(&PACKET_EVENTS, sizeof(*event), 0);
  if (!event) {
    count(PACKET_EVENTS_LOST, 1);
    return;
  }
  event->flow = about->flow;
  event->kind = kind;
  event->side = about->side;
  __u64 sent = packet_flow_bytes(about), received = packet_flow_bytes(peer);
  event->bytes[PACKET_CLIENT] = about->side == PACKET_CLIENT ? sent : received;
  event->bytes[PACKET_BACKEND] = about->side == PACKET_CLIENT ? received : sent;
  bpf_ringbuf_submit(event, 0);
  count(PACKET_EVENTS_SENT, 1);
}
