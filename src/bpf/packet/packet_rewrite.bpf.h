/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Turns a packet from S into one from the proxy to R: addresses, ports, sequence numbers, window,
 * timestamps, SACK blocks and checksums. It then leaves through the neighbour table. DSCP, ECN bits
 * and the IPv6 flow label stay as S set them; the hop limit is that of the proxy's own sockets.
 * core/packet/packet_rewrite.h has the same arithmetic in C++, and tests compare the two. */

#include "bpf/packet/packet_track.bpf.h"

#define NS_PER_MS 1000000ull

struct tcp_header_buffer {
  __u8 bytes[64] __attribute__((aligned(8)));
};

static __always_inline __u32 read_be32(const __u8* at) {
  return (__u32)at[0] << 24 | (__u32)at[1] << 16 | (__u32)at[2] << 8 | at[3];
}

static __always_inline void write_be32(__u8* at, __u32 value) {
  at[0] = value >> 24;
  at[1] = value >> 16;
  at[2] = value >> 8;
  at[3] = value;
}

/* A header offset with `size` bytes after it; 0: none. The barrier keeps the compiler from
 * computing with the unchecked number, which the verifier would reject. */
static __always_inline __u32 bounded_offset(__u32 at, __u32 size) {
  asm volatile("" : "+r"(at));
  at &= 63;
  if (at < TCP_AT_OPTIONS || at > TCP_HEADER_MAX - size) return 0;
  return at;
}

/* The offset added to S's timestamps for R, so that those of the proxy's socket continue for R. The
 * first believed packet sets it, on whichever CPU. If two packets set it, timestamps could go back,
 * and PAWS would drop the packets between (RFC 7323 section 5). */
static __always_inline __u32 stamp_offset(struct packet_flow* flow, __u32 stamp, int believed) {
  __u64 known = *(volatile __u64*)&flow->stamp_offset;
  if (known) return (__u32)known;
  __u32 now = flow->stamp + (__u32)((bpf_ktime_get_ns() - flow->stamp_ns) / NS_PER_MS);
  __u64 fresh = PACKET_KNOWN | (__u32)(now - stamp);
  if (!believed) return (__u32)fresh;
  known = __sync_val_compare_and_swap(&flow->stamp_offset, 0, fresh);
  return known ? (__u32)known : (__u32)fresh;
}

/* S's acknowledgement and window, in bytes, as R gets them. */
struct acknowledged {
  __u32 ack;
  __u32 window;
};

/* Segments that the proxy's socket still sends in the transition acknowledge local_seq. An end
 * discards a segment whose ack is older than its newest one by more than the largest window that it
 * was ever given (RFC 5961 section 5.2, tcp_ack() in net/ipv4/tcp_input.c), and would never accept the
 * bytes that everything else waits for. So R sees no acknowledgement before local_seq, up to which the
 * proxy's socket has everything, and none far beyond it. The window still ends where S said. */
static __always_inline struct acknowledged translated_ack(const struct packet_flow* flow,
                                                          const struct packet_flow* peer,
                                                          const struct packet* packet) {
  struct acknowledged out = {.ack = packet->ack + flow->ack_delta,
                             .window = packet->window << (flow->scale_from & 15)};
  if (flow->state != PACKET_TRANSITION) return out;
  __u32 local = peer->local_seq, limit = local + peer->ack_room;
  if (is_before(limit, out.ack)) {
    out.ack = limit;
  } else if (is_before(out.ack, local)) {
    __u32 behind = local - out.ack;
    out.window = out.window > behind ? out.window - behind : 0;
    out.ack = local;
  }
  return out;
}

/* A window in the scale that the proxy announced to R. An open window stays open. */
static __always_inline __u32 scaled_window(const struct packet_flow* flow, __u32 bytes) {
  if (!bytes) return 0;
  __u32 window = bytes >> (flow->scale_to & 15);
  if (!window) return 1;
  return window > 0xffff ? 0xffff : window;
}

static __always_inline void rewrite_timestamps(struct packet_flow* flow, struct packet_flow* peer,
                                               const struct packet* packet, int believed,
                                               struct tcp_header_buffer* out) {
  __u32 at = bounded_offset(packet->timestamps, 10);
  if (!at) return;
  __u32 value = read_be32(packet->header + at + 2);
  __u32 echo = read_be32(packet->header + at + 6);
  write_be32(out->bytes + at + 2, value + stamp_offset(flow, value, believed));
  /* While R's offset is unknown, S has not seen a timestamp of R. */
  __u64 other = peer->stamp_offset;
  write_be32(out->bytes + at + 6, echo && other ? echo - (__u32)other : 0);
}

static __always_inline void rewrite_sack(struct packet_flow* flow, const struct packet* packet,
                                         struct tcp_header_buffer* out) {
  __u32 at = packet->sack;
  for (__u32 block = 0; block < 4; block++) {
    if (block >= packet->sack_blocks) return;
    __u32 left = bounded_offset(at + 2 + block * 8, 8);
    if (!left) return;
    write_be32(out->bytes + left, read_be32(packet->header + left) + flow->ack_delta);
    write_be32(out->bytes + left + 4, read_be32(packet->header + left + 4) + flow->ack_delta);
  }
}

/* The new TCP header; its checksum field is still the old one. */
static __always_inline void rewrite_tcp(struct packet_flow* flow, struct packet_flow* peer,
                                        const struct packet* packet, int believed,
                                        struct tcp_header_buffer* out) {
  __builtin_memcpy(out->bytes, packet->header, sizeof(out->bytes));
  struct tcphdr* tcp = (void*)out->bytes;
  tcp->source = flow->peer.target_port_be;
  tcp->dest = flow->peer.source_port_be;
  tcp->seq = bpf_htonl(packet->seq + flow->seq_delta);
  struct acknowledged seen = translated_ack(flow, peer, packet);
  if (packet->flags & TCP_ACK) tcp->ack_seq = bpf_htonl(seen.ack);
  tcp->window = bpf_htons(scaled_window(flow, seen.window));
  if (packet->timestamps) rewrite_timestamps(flow, peer, packet, believed, out);
  if (packet->sack) rewrite_sack(flow, packet, out);
}

/* Stores the header and updates its checksum for the header and the addresses, which are part of
 * the pseudo-header. The v4-mapped prefix is zero in one's complement, so one sum serves any pair
 * of families. */
static __always_inline int store_tcp(struct __sk_buff* skb, const struct packet_flow* flow,
                                     struct packet* packet, struct tcp_header_buffer* out) {
  __u32 length = bounded_header(packet->header_length);
  if (!length) return 0;
  __s64 header = bpf_csum_diff((__be32*)packet->header, length, (__be32*)out->bytes, length, 0);
  __s64 addresses = bpf_csum_diff(packet->key.source_be, 32, (__be32*)flow->peer.source_be, 32, 0);
  if (bpf_skb_store_bytes(skb, packet->l4, out->bytes, length, 0)) return 0;
  __u32 checksum = packet->l4 + TCP_AT_CHECKSUM;
  if (bpf_l4_csum_replace(skb, checksum, 0, header, 0)) return 0;
  if (bpf_l4_csum_replace(skb, checksum, 0, addresses, BPF_F_PSEUDO_HDR)) return 0;
  /* A NIC's sum over the whole packet needs this for IPv6, whose header has no checksum that
   * balances the addresses: bpf_l4_csum_replace() has changed it wrongly (until BPF_F_IPV6 of Linux
   * 6.16). Without such a sum this does nothing. */
  if (packet->key.family == PACKET_IPV6) bpf_csum_update(skb, addresses);
  return 1;
}

/* From the hop limit to the end of an IPv4 header without options. */
struct ipv4_tail {
  __u8 hop_limit;
  __u8 protocol;
  __be16 checksum_be;
  __be32 source_be;
  __be32 target_be;
};

static __always_inline int store_ipv4(struct __sk_buff* skb, __u32 l2,
                                      const struct packet_flow* flow) {
  struct ipv4_tail before, after;
  if (bpf_skb_load_bytes(skb, l2 + 8, &before, sizeof(before))) return 0;
  after = before;
  after.hop_limit = PACKET_HOP_LIMIT;
  after.source_be = flow->peer.target_be[3];
  after.target_be = flow->peer.source_be[3];
  __s64 change = bpf_csum_diff((__be32*)&before, sizeof(before), (__be32*)&after, sizeof(after), 0);
  if (bpf_skb_store_bytes(skb, l2 + 8, &after, sizeof(after), 0)) return 0;
  return !bpf_l3_csum_replace(skb, l2 + 10, 0, change, 0);
}

static __always_inline int store_ipv6(struct __sk_buff* skb, __u32 l2,
                                      const struct packet_flow* flow) {
  struct {
    __be32 source_be[4];
    __be32 target_be[4];
  } addresses;
  __u8 hop_limit = PACKET_HOP_LIMIT;
  __builtin_memcpy(addresses.source_be, flow->peer.target_be, sizeof(addresses.source_be));
  __builtin_memcpy(addresses.target_be, flow->peer.source_be, sizeof(addresses.target_be));
  if (bpf_skb_store_bytes(skb, l2 + 7, &hop_limit, 1, 0)) return 0;
  return !bpf_skb_store_bytes(skb, l2 + 8, &addresses, sizeof(addresses), 0);
}

/* Fields that both families' headers have in different places. */
struct ip_common {
  __u8 traffic_class; /* DSCP and ECN. */
  __u32 payload;      /* Bytes after the IP header. */
};

static __always_inline int to_ipv6(struct __sk_buff* skb, __u32 l2, const struct packet_flow* flow,
                                   struct ip_common common) {
  if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0)) return 0;
  struct ipv6hdr ip = {.version = 6, .nexthdr = IPPROTO_TCP, .hop_limit = PACKET_HOP_LIMIT};
  ip.priority = common.traffic_class >> 4;
  ip.flow_lbl[0] = common.traffic_class << 4;
  ip.payload_len = bpf_htons(common.payload);
  __builtin_memcpy(&ip.saddr, flow->peer.target_be, 16);
  __builtin_memcpy(&ip.daddr, flow->peer.source_be, 16);
  /* The removed IPv4 header summed to zero, and zeros took its place. */
  bpf_csum_update(skb, bpf_csum_diff(NULL, 0, (__be32*)&ip, sizeof(ip), 0));
  return !bpf_skb_store_bytes(skb, l2, &ip, sizeof(ip), 0);
}

static __always_inline int to_ipv4(struct __sk_buff* skb, __u32 l2, const struct packet_flow* flow,
                                   struct ip_common common) {
  /* The second half of the IPv6 header becomes the IPv4 header. */
  struct iphdr before;
  if (bpf_skb_load_bytes(skb, l2 + 20, &before, sizeof(before))) return 0;
  if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0)) return 0;
  struct iphdr ip = {.version = 4, .ihl = 5, .ttl = PACKET_HOP_LIMIT, .protocol = IPPROTO_TCP};
  ip.tos = common.traffic_class;
  ip.tot_len = bpf_htons(common.payload + sizeof(ip));
  ip.frag_off = bpf_htons(0x4000); /* Don't fragment: routers never fragment IPv6. */
  ip.saddr = flow->peer.target_be[3];
  ip.daddr = flow->peer.source_be[3];
  ip.check = ~folded(bpf_csum_diff(NULL, 0, (__be32*)&ip, sizeof(ip), 0));
  bpf_csum_update(skb,
                  bpf_csum_diff((__be32*)&before, sizeof(before), (__be32*)&ip, sizeof(ip), 0));
  return !bpf_skb_store_bytes(skb, l2, &ip, sizeof(ip), 0);
}

static __always_inline int change_family(struct __sk_buff* skb, __u32 l2,
                                         const struct packet_flow* flow,
                                         const struct packet* packet) {
  __u8 first[2];
  if (bpf_skb_load_bytes(skb, l2, first, sizeof(first))) return 0;
  struct ip_common common = {.payload = packet->header_length + packet->payload};
  if (packet->key.family == PACKET_IPV4) {
    common.traffic_class = first[1];
    if (!to_ipv6(skb, l2, flow, common)) return 0;
  } else {
    common.traffic_class = first[0] << 4 | first[1] >> 4;
    if (!to_ipv4(skb, l2, flow, common)) return 0;
  }
  return 1;
}

/* Writes the IP header in R's family, after the TCP header is done. */
static __always_inline int store_ip(struct __sk_buff* skb, __u32 l2, const struct packet_flow* flow,
                                    const struct packet* packet) {
  if (packet->key.family != flow->peer.family) return change_family(skb, l2, flow, packet);
  if (packet->key.family == PACKET_IPV4) return store_ipv4(skb, l2, flow);
  return store_ipv6(skb, l2, flow);
}

/* bpf_redirect_neigh() wants a MAC header, whose addresses it fills in. */
static __always_inline int store_mac(struct __sk_buff* skb, __u32 l2, __u32 family) {
  struct ethhdr mac = {};
  mac.h_proto = family == PACKET_IPV4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
  if (l2) return !bpf_skb_store_bytes(skb, 12, &mac.h_proto, sizeof(mac.h_proto), 0);
  if (bpf_skb_change_head(skb, sizeof(mac), 0)) return 0;
  return !bpf_skb_store_bytes(skb, 0, &mac, sizeof(mac), 0);
}

static __always_inline int forward(struct __sk_buff* skb, __u32 l2, struct packet_flow* flow,
                                   struct packet_flow* peer, struct packet* packet, int believed) {
  struct tcp_header_buffer out;
  rewrite_tcp(flow, peer, packet, believed, &out);
  if (!store_tcp(skb, flow, packet, &out) || !store_ip(skb, l2, flow, packet)) {
    count(PACKET_DROP_FAILED, 1);
    return TC_ACT_SHOT;
  }
  if (!l2 || packet->key.family != flow->peer.family) {
    if (!store_mac(skb, l2, flow->peer.family)) {
      count(PACKET_DROP_FAILED, 1);
      return TC_ACT_SHOT;
    }
  }
  count(PACKET_FORWARDS, 1);
  count(PACKET_FORWARDED_BYTES, packet->payload);
  return bpf_redirect_neigh(flow->ifindex, NULL, 0, 0);
}
