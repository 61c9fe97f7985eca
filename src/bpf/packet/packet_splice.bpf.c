/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Joins two TCP connections at packet level: a packet from one far end to the proxy becomes a
 * packet from the proxy to the other far end, and leaves without touching a socket.
 *
 * The program is attached at tc ingress of the interfaces on which packets of flows arrive, and at
 * tc egress of lo for packets of backends on this host. Packets of no known flow go on to the next
 * program unchanged (TC_ACT_UNSPEC, which is also TCX_NEXT): TC_ACT_OK would keep others' programs
 * from seeing them. packet_shared.h has the states of a flow, and handover.h describes how a pair
 * of sockets becomes one. */

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "bpf/packet/packet_control.bpf.h"
#include "bpf/packet/packet_icmp.bpf.h"

/* Before the hand-over: notes that packets arrive here under this key, and what would prevent a
 * hand-over. Marks stay, so a damaged packet, which the socket discards, must not set any. */
static __always_inline int observe(struct __sk_buff* skb, struct packet_flow* flow,
                                   const struct packet* packet) {
  __u32 marks = 0;
  if (packet->flags & TCP_SYN) marks |= PACKET_SYN_SEEN;
  if (packet->flags & (TCP_FIN | TCP_RST)) marks |= PACKET_EARLY_FIN;
  if (packet->timestamps) marks |= PACKET_TIMESTAMPS;
  if (packet->odd) marks |= PACKET_ODD_OPTIONS;
  if (marks & ~flow->marks) {
    if (!is_intact(skb, packet)) {
      count(PACKET_DAMAGED, 1);
      return TC_ACT_UNSPEC;
    }
    mark(flow, marks);
  }
  flow->seen_ifindex = skb->ifindex;
  flow->packets++;
  flow->last_ns = bpf_ktime_get_coarse_ns();
  count(PACKET_OBSERVATIONS, 1);
  return TC_ACT_UNSPEC;
}

/* A pure ACK that does not cover all bytes that the proxy's socket must deliver to S: that socket
 * needs it. An ACK beyond them acknowledges R's own bytes, and the socket would discard it. */
static __always_inline int is_local_ack(const struct packet_flow* flow,
                                        const struct packet* packet) {
  return flow->state == PACKET_TRANSITION && packet->payload == 0 &&
         !(packet->flags & (TCP_FIN | TCP_RST | TCP_SYN)) &&
         is_before(packet->ack, flow->owned_end);
}

/* The proxy's socket has none of the forwarded bytes, and discards any segment beyond its window,
 * whatever it acknowledges (tcp_sequence() in net/ipv4/tcp_input.c). So S's ACK gets the sequence
 * number that the socket expects. */
static __always_inline int pass_to_socket(struct __sk_buff* skb, const struct packet_flow* flow,
                                          const struct packet* packet) {
  count(PACKET_LOCAL_ACKS, 1);
  __u32 seq = flow->local_seq;
  if (!is_before(seq, packet->seq)) return TC_ACT_UNSPEC;
  __be32 from_be = bpf_htonl(packet->seq), to_be = bpf_htonl(seq);
  if (bpf_l4_csum_replace(skb, packet->l4 + TCP_AT_CHECKSUM, from_be, to_be, sizeof(to_be)) ||
      bpf_skb_store_bytes(skb, packet->l4 + TCP_AT_SEQ, &to_be, sizeof(to_be), 0)) {
    count(PACKET_DROP_FAILED, 1);
    return TC_ACT_SHOT;
  }
  return TC_ACT_UNSPEC;
}

/* S opens a new connection from the same port: the old one is over, and the listener answers. */
static __always_inline int reuse_key(struct packet_flow* flow, struct packet_flow* peer) {
  emit(flow, peer, PACKET_EVENT_REUSED);
  flow->state = PACKET_FORGOTTEN;
  peer->state = PACKET_FORGOTTEN;
  count(PACKET_KEYS_REUSED, 1);
  return TC_ACT_UNSPEC;
}

static __always_inline int splice(struct __sk_buff* skb, __u32 l2) {
  struct packet packet = {};
  if (!read_key(skb, l2, &packet)) {
    count(PACKET_FOREIGN_SHAPE, 1);
    return TC_ACT_UNSPEC;
  }
  struct packet_flow* flow = find_flow(&packet.key);
  if (!flow || flow->state == PACKET_FORGOTTEN) {
    count(PACKET_FOREIGN, 1);
    return TC_ACT_UNSPEC;
  }
  if (!read_header(skb, l2, &packet)) {
    if (flow->state == PACKET_OBSERVED) return TC_ACT_UNSPEC; /* The stack decides. */
    count(PACKET_DROP_OPTIONS, 1);
    return TC_ACT_SHOT;
  }
  if (flow->state == PACKET_OBSERVED) return observe(skb, flow, &packet);

  struct packet_flow* peer = find_flow(&flow->peer);
  if (!peer || peer->flow != flow->flow) {
    count(PACKET_DROP_ORPHAN, 1);
    return TC_ACT_SHOT;
  }
  if ((packet.flags & TCP_SYN) && flow->state == PACKET_FINISHED && is_intact(skb, &packet))
    return reuse_key(flow, peer);
  flow->seen_ifindex = skb->ifindex;
  int believed = track(skb, flow, peer, &packet);
  if (is_local_ack(flow, &packet)) return pass_to_socket(skb, flow, &packet);
  return forward(skb, l2, flow, peer, &packet, believed);
}

/* Separate functions, so that each has the stack to itself. */
static __noinline int splice_frame(struct __sk_buff* skb) {
  return splice(skb, ETH_HLEN);
}

static __noinline int splice_ip(struct __sk_buff* skb) {
  return splice(skb, 0);
}

SEC("tc")
int packet_splice(struct __sk_buff* skb) {
  return is_icmp(skb, ETH_HLEN) ? translate_too_big(skb, ETH_HLEN) : splice_frame(skb);
}

/* For devices without a MAC header: tun, and other tunnels. */
SEC("tc")
int packet_splice_ip(struct __sk_buff* skb) {
  return is_icmp(skb, 0) ? translate_too_big(skb, 0) : splice_ip(skb);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
