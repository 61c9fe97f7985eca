/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Whether a packet arrived undamaged. R discards a packet with a wrong checksum, so such a packet
 * must neither end a flow nor set anything permanently. All other packets are forwarded unchecked:
 * their checksums are updated incrementally, so that R detects the damage, and the next packet
 * corrects wrong numbers. */

#include "bpf/packet/packet_parse.bpf.h"

static __always_inline __u16 folded(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

struct checksum_walk {
  struct __sk_buff* skb;
  __u32 at;
  __u32 left;
  __u32 sum;
  __u32 failed;
};

/* One piece of the payload; bpf_loop ends at 1. */
static long sum_piece(__u32 index, struct checksum_walk* walk) {
  (void)index;
  __u8 piece[64] __attribute__((aligned(8))) = {};
  if (walk->left == 0) return 1;
  /* From 1 to 64, in steps that the verifier of 6.1 follows: it does not see that an unsigned number
   * which is not 0 is at least 1, and clang would leave out a mask that changes nothing. */
  __u32 last = (walk->left < sizeof(piece) ? walk->left : sizeof(piece)) - 1;
  asm volatile("" : "+r"(last));
  const __u32 length = (last & (sizeof(piece) - 1)) + 1;
  if (bpf_skb_load_bytes(walk->skb, walk->at, piece, length)) {
    walk->failed = 1;
    return 1;
  }
  walk->sum = bpf_csum_diff(NULL, 0, (__be32*)piece, sizeof(piece), walk->sum);
  walk->at += length;
  walk->left -= length;
  return 0;
}

static __always_inline int is_intact(struct __sk_buff* skb, const struct packet* packet) {
  /* A NIC or GRO has verified it, or a host near by sends it in one piece without a checksum. */
  if (skb->gso_size || bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0) return 1;
  __be32 tail_be[2] = {bpf_htonl(packet->header_length + packet->payload), bpf_htonl(IPPROTO_TCP)};
  /* The pseudo-header (RFC 9293 section 3.1). The v4-mapped prefix adds nothing: 0xffff is zero in
   * one's complement. */
  __u32 sum = bpf_csum_diff(NULL, 0, (__be32*)packet->key.source_be, 32, 0);
  sum = bpf_csum_diff(NULL, 0, tail_be, sizeof(tail_be), sum);
  /* On veth and lo a NIC is to complete the sum: the field has that of the pseudo-header. */
  if (folded(sum) == *(const __u16*)(packet->header + TCP_AT_CHECKSUM)) return 1;
  sum = bpf_csum_diff(NULL, 0, (__be32*)packet->header, sizeof(packet->header), sum);
  struct checksum_walk walk = {
      .skb = skb, .at = packet->l4 + packet->header_length, .left = packet->payload, .sum = sum};
  if (packet->payload) bpf_loop(packet->payload / 64 + 1, sum_piece, &walk, 0);
  return !walk.failed && folded(walk.sum) == 0xffff;
}
