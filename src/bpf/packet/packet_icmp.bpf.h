/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* A packet-too-big from the path to R quotes a packet of the proxy that S had sent. S must receive
 * it, in its own numbers, or its large segments are lost for ever (RFC 2923 section 2.1). Anybody
 * can send such a message, and S applies it to the proxy's address and so to other connections too.
 * It is therefore accepted only for a sequence number in flight (RFC 5927 section 7.2), and never
 * below the least MTU of its family. Flows between two families are left out: the message would
 * change its length. */

#include <linux/icmpv6.h>

#include "bpf/packet/packet_rewrite.bpf.h"

/* <linux/icmp.h> would bring in the C library's headers, which BPF does not have. */
enum { ICMPV4_UNREACHABLE = 3, ICMPV4_FRAGMENTATION_NEEDED = 4 };
struct icmpv4 {
  __u8 type;
  __u8 code;
  __be16 checksum_be;
  __be16 unused;
  __be16 mtu_be; /* RFC 1191 section 4. */
};

/* The least that a router quotes of TCP. */
struct quoted_tcp {
  __be16 source_be;
  __be16 target_be;
  __be32 seq_be;
};

struct too_big_v4 {
  struct icmpv4 icmp;
  struct iphdr ip;
  struct quoted_tcp tcp;
};

struct too_big_v6 {
  struct icmp6hdr icmp;
  struct ipv6hdr ip;
  struct quoted_tcp tcp;
};

/* R's entry, if the quoted packet is one that S has in flight. */
static __always_inline struct packet_flow* quoted_flow(const struct packet_key* key,
                                                       struct quoted_tcp* tcp) {
  struct packet_flow* receiver = find_flow(key);
  if (!receiver || receiver->state == PACKET_OBSERVED || receiver->state == PACKET_FORGOTTEN)
    return NULL;
  struct packet_flow* sender = find_flow(&receiver->peer);
  __u32 seq = sender ? bpf_ntohl(tcp->seq_be) - sender->seq_delta : 0;
  if (!sender || key->family != receiver->peer.family || is_before(seq, (__u32)sender->acked) ||
      !is_before(seq, sender->sent)) {
    count(PACKET_TOO_BIG_DOUBTED, 1);
    return NULL;
  }
  tcp->source_be = receiver->peer.source_port_be;
  tcp->target_be = receiver->peer.target_port_be;
  tcp->seq_be = bpf_htonl(seq);
  return receiver;
}

static __always_inline void quoted_ports(struct packet_key* key, const struct quoted_tcp* tcp) {
  key->source_port_be = tcp->target_be;
  key->target_port_be = tcp->source_be;
}

static __always_inline int send_too_big(const struct packet_flow* receiver, int stored) {
  if (!stored) {
    count(PACKET_DROP_FAILED, 1);
    return TC_ACT_SHOT;
  }
  count(PACKET_TOO_BIG, 1);
  return bpf_redirect_neigh(receiver->ifindex, NULL, 0, 0);
}

static __always_inline int too_big_v4(struct __sk_buff* skb, __u32 l2) {
  struct too_big_v4 before, after;
  __u32 at = l2 + sizeof(struct iphdr);
  if (bpf_skb_load_bytes(skb, at, &before, sizeof(before))) return TC_ACT_UNSPEC;
  if (before.icmp.type != ICMPV4_UNREACHABLE || before.icmp.code != ICMPV4_FRAGMENTATION_NEEDED)
    return TC_ACT_UNSPEC;
  if (before.ip.ihl != 5 || before.ip.protocol != IPPROTO_TCP) return TC_ACT_UNSPEC;
  struct packet_key key = {.family = PACKET_IPV4};
  key.source_be[2] = key.target_be[2] = bpf_htonl(0xffff);
  key.source_be[3] = before.ip.daddr;
  key.target_be[3] = before.ip.saddr;
  quoted_ports(&key, &before.tcp);
  after = before;
  struct packet_flow* receiver = quoted_flow(&key, &after.tcp);
  if (!receiver) return TC_ACT_UNSPEC;
  if (bpf_ntohs(after.icmp.mtu_be) < PACKET_MTU_MIN_V4)
    after.icmp.mtu_be = bpf_htons(PACKET_MTU_MIN_V4);
  after.ip.saddr = receiver->peer.source_be[3];
  after.ip.daddr = receiver->peer.target_be[3];
  after.ip.check = 0;
  after.ip.check = ~folded(bpf_csum_diff(NULL, 0, (__be32*)&after.ip, sizeof(after.ip), 0));
  __s64 change = bpf_csum_diff((__be32*)&before, sizeof(before), (__be32*)&after, sizeof(after), 0);
  int stored = !bpf_skb_store_bytes(skb, at, &after, sizeof(after), 0) &&
               !bpf_l3_csum_replace(skb, at + 2, 0, change, 0) && store_ipv4(skb, l2, receiver);
  return send_too_big(receiver, stored);
}

static __always_inline int too_big_v6(struct __sk_buff* skb, __u32 l2) {
  struct too_big_v6 quote;
  __u32 at = l2 + sizeof(struct ipv6hdr);
  if (bpf_skb_load_bytes(skb, at, &quote, sizeof(quote))) return TC_ACT_UNSPEC;
  if (quote.icmp.icmp6_type != ICMPV6_PKT_TOOBIG || quote.ip.nexthdr != IPPROTO_TCP)
    return TC_ACT_UNSPEC;
  struct packet_key key = {.family = PACKET_IPV6};
  __builtin_memcpy(key.source_be, &quote.ip.daddr, 16);
  __builtin_memcpy(key.target_be, &quote.ip.saddr, 16);
  quoted_ports(&key, &quote.tcp);
  /* The changed bytes, summed before and after: the quote, and the addresses of the outer header,
   * which are in the pseudo-header. */
  __s64 change = bpf_csum_diff((__be32*)&quote, sizeof(quote), NULL, 0, 0);
  struct packet_flow* receiver = quoted_flow(&key, &quote.tcp);
  if (!receiver) return TC_ACT_UNSPEC;
  if (bpf_ntohl(quote.icmp.icmp6_mtu) < PACKET_MTU_MIN_V6)
    quote.icmp.icmp6_mtu = bpf_htonl(PACKET_MTU_MIN_V6);
  __builtin_memcpy(&quote.ip.saddr, receiver->peer.source_be, 16);
  __builtin_memcpy(&quote.ip.daddr, receiver->peer.target_be, 16);
  change = bpf_csum_diff(NULL, 0, (__be32*)&quote, sizeof(quote), change);
  __be32 outer_be[8];
  if (bpf_skb_load_bytes(skb, l2 + 8, outer_be, sizeof(outer_be))) return TC_ACT_UNSPEC;
  change = bpf_csum_diff(outer_be, sizeof(outer_be), receiver->peer.source_be, 32, change);
  int stored = !bpf_skb_store_bytes(skb, at, &quote, sizeof(quote), 0) &&
               !bpf_l3_csum_replace(skb, at + 2, 0, change, 0) && store_ipv6(skb, l2, receiver);
  return send_too_big(receiver, stored);
}

/* ICMP, which has no ports. At most one byte of a foreign packet is read for this. */
static __always_inline int is_icmp(struct __sk_buff* skb, __u32 l2) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  if (skb->vlan_present || data + l2 + sizeof(struct iphdr) > end) return 0;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = data + l2;
    return ip->protocol == IPPROTO_ICMP && ip->ihl == 5;
  }
  if (skb->protocol != bpf_htons(ETH_P_IPV6)) return 0;
  return *(__u8*)(data + l2 + 6) == IPPROTO_ICMPV6;
}

/* A function of its own, so that its stack does not add to the caller's. */
static __noinline int translate_too_big(struct __sk_buff* skb, __u32 l2) {
  l2 = l2 ? ETH_HLEN : 0; /* For the verifier, which does not know the callers. */
  int action = skb->protocol == bpf_htons(ETH_P_IP) ? too_big_v4(skb, l2) : too_big_v6(skb, l2);
  if (action != TC_ACT_REDIRECT || l2) return action;
  __u32 family = skb->protocol == bpf_htons(ETH_P_IP) ? PACKET_IPV4 : PACKET_IPV6;
  if (store_mac(skb, l2, family)) return action;
  count(PACKET_DROP_FAILED, 1);
  return TC_ACT_SHOT;
}
