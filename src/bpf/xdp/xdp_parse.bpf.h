/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Finds source address, protocol and TCP destination port in a frame: Ethernet, up to two VLAN
 * tags, IPv4 or IPv6. A cursor walks the frame, and every read is bounded by the frame's end. A
 * truncated or unknown frame is reported as such, and the caller lets it pass. */

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_TAGS_MAX 2
/* A valid packet has up to seven extension headers (RFC 8200 section 4.1). */
#define IPV6_EXTENSIONS_MAX 7

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_AUTH 51
#define NEXTHDR_DEST 60

struct cursor {
  void* position;
  void* end;
};

struct vlan_tag {
  __be16 control_be;
  __be16 ethertype_be;
};

struct ipv6_extension {
  __u8 next;
  __u8 length;      /* Units of 8 octets without the first; authentication: see below. */
  __be16 offset_be; /* Fragment header only. */
  __be32 rest_be;
};

/* RFC 9293: the ports are the first four octets of the TCP header. */
struct tcp_ports {
  __be16 source_be;
  __be16 target_be;
};

/* Skips `size` bytes and returns their start; NULL: the frame ends before that. */
static __always_inline void* take(struct cursor* cursor, __u32 size) {
  void* start = cursor->position;
  if (start + size > cursor->end) return NULL;
  cursor->position = start + size;
  return start;
}

/* Ethertype after the VLAN tags, in network order; 0: truncated. */
static __always_inline __be16 take_ethernet(struct cursor* cursor) {
  struct ethhdr* ethernet = take(cursor, sizeof(*ethernet));
  if (!ethernet) return 0;
  __be16 ethertype_be = ethernet->h_proto;
  for (int tags = 0; tags < VLAN_TAGS_MAX; tags++) {
    if (ethertype_be != bpf_htons(ETH_P_8021Q) && ethertype_be != bpf_htons(ETH_P_8021AD)) break;
    struct vlan_tag* tag = take(cursor, sizeof(*tag));
    if (!tag) return 0;
    ethertype_be = tag->ethertype_be;
  }
  return ethertype_be;
}

/* Neighbour discovery is valid only with a hop limit of 255, so only hosts on the link can send it
 * (RFC 4861 section 4). Types 133 to 137 are consecutive. */
static __always_inline int is_neighbour_discovery(const struct ipv6hdr* ip, struct cursor cursor) {
  if (ip->nexthdr != IPPROTO_ICMPV6 || ip->hop_limit != 255) return 0;
  __u8* type = take(&cursor, sizeof(*type));
  return type && *type >= 133 && *type <= 137;
}

/* TCP destination port in host order, or -1: another protocol, a later fragment, or truncated. */
static __always_inline int tcp_target_port(struct cursor* cursor, __u8 protocol) {
  if (protocol != IPPROTO_TCP) return -1;
  struct tcp_ports* ports = take(cursor, sizeof(*ports));
  return ports ? bpf_ntohs(ports->target_be) : -1;
}

/* `cursor` is after the fixed IPv4 header. */
static __always_inline int ipv4_target_port(struct cursor* cursor, const struct iphdr* ip) {
  if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET)) return -1;
  if (ip->ihl < 5 || !take(cursor, (ip->ihl - 5) * 4)) return -1;
  return tcp_target_port(cursor, ip->protocol);
}

/* `cursor` is after the fixed IPv6 header. */
static __always_inline int ipv6_target_port(struct cursor* cursor, const struct ipv6hdr* ip) {
  __u8 next = ip->nexthdr;
  for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
    if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING && next != NEXTHDR_FRAGMENT &&
        next != NEXTHDR_AUTH && next != NEXTHDR_DEST)
      break;
    struct ipv6_extension* extension = take(cursor, sizeof(*extension));
    if (!extension) return -1;
    __u32 rest = extension->length * 8;
    if (next == NEXTHDR_FRAGMENT) {
      if (extension->offset_be & bpf_htons(IPV6_FRAGMENT_OFFSET)) return -1;
      rest = 0;
    } else if (next == NEXTHDR_AUTH) {
      rest = extension->length * 4; /* RFC 4302: words minus two, and two have been taken. */
    }
    next = extension->next;
    if (!take(cursor, rest)) return -1;
  }
  return tcp_target_port(cursor, next);
}
