/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Finds TCP in a packet: the key of its entry, then the header with its options. Only plain TCP
 * over IPv4 or IPv6 is ours, without fragments, IP options, extension headers or VLAN tags. Foreign
 * packets are read in place and never changed. */

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "bpf/packet/packet_maps.bpf.h"

enum {
  TCP_HEADER_MAX = 60,
  TCP_OPTIONS_MAX = 40,
  TCP_FIN = 1,
  TCP_SYN = 2,
  TCP_RST = 4,
  TCP_ACK = 16,
  /* Offsets in the TCP header. */
  TCP_AT_SEQ = 4,
  TCP_AT_ACK = 8,
  TCP_AT_FLAGS = 13,
  TCP_AT_WINDOW = 14,
  TCP_AT_CHECKSUM = 16,
  TCP_AT_OPTIONS = 20,
  /* Kinds of options (IANA). */
  TCP_KIND_END = 0,
  TCP_KIND_NOP = 1,
  TCP_KIND_SACK = 5,
  TCP_KIND_TIMESTAMPS = 8,
  TCP_KIND_MD5 = 19,
  TCP_KIND_AO = 29,
  TCP_KIND_MPTCP = 30,
};

#define IPV4_FRAGMENT 0x3fff /* More fragments, or an offset. */

/* One packet on its way through the program. */
struct packet {
  struct packet_key key;
  __u32 l4;        /* Where the TCP header starts. */
  __u32 l3_length; /* From the IP header. */
  __u32 header_length;
  __u32 payload; /* TCP payload, without the padding of a short Ethernet frame. */
  __u32 seq, ack;
  __u32 window; /* As in the header. */
  __u32 flags;
  __u32 timestamps; /* Offset of the option in the TCP header; 0: none. */
  __u32 sack;
  __u32 sack_blocks;
  __u32 odd; /* 1: has unknown options. */
  /* The TCP header as it came, with room for offsets that the verifier only bounds by 64. */
  __u8 header[64] __attribute__((aligned(8)));
};

struct headers {
  void* position;
  void* end;
};

/* Gets the IP header and the start of TCP, `length` bytes from the IP header on, in linear memory.
 * */
static __always_inline int reach(struct __sk_buff* skb, __u32 length, struct headers* headers) {
  headers->position = (void*)(long)skb->data;
  headers->end = (void*)(long)skb->data_end;
  if (headers->position + length <= headers->end) return 1;
  if (skb->len < length || bpf_skb_pull_data(skb, length)) return 0;
  headers->position = (void*)(long)skb->data;
  headers->end = (void*)(long)skb->data_end;
  return headers->position + length <= headers->end;
}

static __always_inline int read_key_v4(struct __sk_buff* skb, __u32 l2, struct packet* packet) {
  struct headers headers;
  if (!reach(skb, l2 + sizeof(struct iphdr) + sizeof(struct tcphdr), &headers)) return 0;
  struct iphdr* ip = headers.position + l2;
  struct tcphdr* tcp = (void*)(ip + 1);
  if ((void*)(tcp + 1) > headers.end) return 0; /* reach() ensures this. */
  if (ip->protocol != IPPROTO_TCP || ip->ihl != 5) return 0;
  if (ip->frag_off & bpf_htons(IPV4_FRAGMENT)) return 0;
  struct packet_key* key = &packet->key;
  key->source_be[2] = key->target_be[2] = bpf_htonl(0xffff);
  key->source_be[3] = ip->saddr;
  key->target_be[3] = ip->daddr;
  key->source_port_be = tcp->source;
  key->target_port_be = tcp->dest;
  key->family = PACKET_IPV4;
  packet->l4 = l2 + sizeof(*ip);
  packet->l3_length = bpf_ntohs(ip->tot_len);
  return 1;
}

static __always_inline int read_key_v6(struct __sk_buff* skb, __u32 l2, struct packet* packet) {
  struct headers headers;
  if (!reach(skb, l2 + sizeof(struct ipv6hdr) + sizeof(struct tcphdr), &headers)) return 0;
  struct ipv6hdr* ip = headers.position + l2;
  struct tcphdr* tcp = (void*)(ip + 1);
  if ((void*)(tcp + 1) > headers.end) return 0;
  if (ip->nexthdr != IPPROTO_TCP) return 0;
  struct packet_key* key = &packet->key;
  __builtin_memcpy(key->source_be, &ip->saddr, sizeof(key->source_be));
  __builtin_memcpy(key->target_be, &ip->daddr, sizeof(key->target_be));
  key->source_port_be = tcp->source;
  key->target_port_be = tcp->dest;
  key->family = PACKET_IPV6;
  packet->l4 = l2 + sizeof(*ip);
  packet->l3_length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
  return 1;
}

/* Whether the packet can be one of ours, and its key. `l2` is the length of the MAC header. */
static __always_inline int read_key(struct __sk_buff* skb, __u32 l2, struct packet* packet) {
  /* An accelerated tag is not in the frame: on the parent of a VLAN device the packet still belongs
   * to another network. */
  if (skb->vlan_present) return 0;
  if (skb->protocol == bpf_htons(ETH_P_IP)) return read_key_v4(skb, l2, packet);
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) return read_key_v6(skb, l2, packet);
  return 0;
}

struct option_walk {
  struct packet* packet;
  __u32 at;
};

/* One option; bpf_loop ends at 1. */
static long walk_option(__u32 index, struct option_walk* walk) {
  (void)index;
  struct packet* packet = walk->packet;
  __u32 at = walk->at;
  if (at >= packet->header_length || at >= TCP_HEADER_MAX) return 1;
  __u8 kind = packet->header[at & 63];
  if (kind == TCP_KIND_END) return 1;
  if (kind == TCP_KIND_NOP) {
    walk->at = at + 1;
    return 0;
  }
  __u32 length = packet->header[(at + 1) & 63];
  if (length < 2 || at + length > packet->header_length) {
    packet->odd = 1;
    return 1;
  }
  if (kind == TCP_KIND_TIMESTAMPS && length == 10) {
    packet->timestamps = at;
  } else if (kind == TCP_KIND_SACK && length >= 10) {
    packet->sack = at;
    packet->sack_blocks = (length - 2) / 8;
  } else if (kind == TCP_KIND_MD5 || kind == TCP_KIND_AO || kind == TCP_KIND_MPTCP) {
    packet->odd = 1;
  }
  walk->at = at + length;
  return 0;
}

/* Nearly every segment has one of two forms (RFC 7323 appendix A): timestamps after two NOPs, and
 * SACK blocks after two more. */
static __always_inline void read_options(struct packet* packet) {
  const __u8* options = packet->header + TCP_AT_OPTIONS;
  if (packet->header_length == TCP_AT_OPTIONS) return;
  if (options[0] == TCP_KIND_NOP && options[1] == TCP_KIND_NOP &&
      options[2] == TCP_KIND_TIMESTAMPS && options[3] == 10) {
    if (packet->header_length == TCP_AT_OPTIONS + 12) {
      packet->timestamps = TCP_AT_OPTIONS + 2;
      return;
    }
  }
  struct option_walk walk = {.packet = packet, .at = TCP_AT_OPTIONS};
  bpf_loop(TCP_OPTIONS_MAX, walk_option, &walk, 0);
}

/* The verifier of Linux 6.1 bounds a length only by two checks that the compiler cannot merge,
 * hence the barriers. */
static __always_inline __u32 bounded_header(__u32 length) {
  asm volatile("" : "+r"(length));
  length &= 63;
  if (length < TCP_AT_OPTIONS) return 0;
  asm volatile("" : "+r"(length));
  if (length > TCP_HEADER_MAX) return 0;
  return length;
}

/* The TCP header with its options; 0: broken. */
static __always_inline int read_header(struct __sk_buff* skb, __u32 l2, struct packet* packet) {
  __u8 words = 0;
  if (bpf_skb_load_bytes(skb, packet->l4 + 12, &words, 1)) return 0;
  __u32 length = bounded_header((words >> 4) * 4);
  if (!length || bpf_skb_load_bytes(skb, packet->l4, packet->header, length)) return 0;
  packet->header_length = length;
  const struct tcphdr* tcp = (const void*)packet->header;
  packet->seq = bpf_ntohl(tcp->seq);
  packet->ack = bpf_ntohl(tcp->ack_seq);
  packet->window = bpf_ntohs(tcp->window);
  packet->flags = packet->header[TCP_AT_FLAGS];
  /* The IP header of a merged packet may say 0 (BIG TCP), and the packet has no padding. */
  __u32 l3_length = skb->gso_size ? skb->len - l2 : packet->l3_length;
  __u32 headers = packet->l4 - l2 + length;
  if (l3_length < headers || l3_length > skb->len - l2) return 0;
  packet->payload = l3_length - headers;
  read_options(packet);
  return 1;
}

/* Where the packet ends in sequence space: SYN and FIN count one each. */
static __always_inline __u32 end_of(const struct packet* packet) {
  return packet->seq + packet->payload + !!(packet->flags & TCP_SYN) + !!(packet->flags & TCP_FIN);
}
