/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Follows the two directions of a flow as its ends do, so that nobody off the path can make us
 * believe what they would not: numbers count only from packets inside the receiver's window that
 * acknowledge nothing unsent (RFC 9293 section 3.10.7.4, RFC 5961), and bytes count when the
 * receiver has acknowledged them. A packet that is not believed is forwarded all the same: the end
 * that it is for judges it as it always would. */

#include "bpf/packet/packet_checksum.bpf.h"

/* Where R's window stops, as far as we know it. What S goes on with without a gap counts as inside:
 * S knows of more window than we where an update was not believed, where the proxy's own socket sent
 * one, or where rounding to the scale made one larger. Were such bytes disbelieved, so would be the
 * acknowledgement of them, which carries the next window: the flow would never be believed again. */
static __always_inline __u32 edge_of(const struct packet_flow* flow) {
  __u32 sent = flow->sent, edge = flow->edge;
  return is_before(edge, sent) ? sent : edge;
}

/* As R judges (tcp_sequence() in net/ipv4/tcp_input.c): what reaches over the edge is cut there. */
static __always_inline int is_in_window(const struct packet_flow* flow,
                                        const struct packet* packet) {
  return !is_before(end_of(packet), (__u32)flow->acked) && !is_before(edge_of(flow), packet->seq);
}

/* The end of both directions, once. */
static __always_inline void finish(struct packet_flow* flow, struct packet_flow* peer,
                                   enum packet_event_kind kind) {
  struct packet_flow* first = flow->side == PACKET_CLIENT ? flow : peer;
  struct packet_flow* second = flow->side == PACKET_CLIENT ? peer : flow;
  if (__sync_lock_test_and_set(&first->state, PACKET_FINISHED) == PACKET_FINISHED) return;
  second->state = PACKET_FINISHED;
  emit(flow, peer, kind);
}

/* A RST ends the flow where its number is the next one that R expects. R may have received more than
 * it has acknowledged, so that is one of two numbers; one of the others in between makes the flow
 * end only if nobody sends any more. */
static __always_inline void track_reset(struct packet_flow* flow, struct packet_flow* peer,
                                        const struct packet* packet) {
  __u32 acked = (__u32)flow->acked;
  if (packet->seq == acked || packet->seq == flow->sent) {
    count(PACKET_RESETS, 1);
    mark(flow, PACKET_RESET);
    finish(flow, peer, PACKET_EVENT_RESET);
    return;
  }
  count(PACKET_RESETS_DOUBTED, 1);
  if (!is_before(packet->seq, acked) && !is_before(edge_of(flow), packet->seq)) {
    flow->reset_ns = bpf_ktime_get_coarse_ns();
    mark(flow, PACKET_RESET_MAYBE);
  }
}

static __always_inline void track_fin(struct packet_flow* flow, struct packet_flow* peer,
                                      const struct packet* packet) {
  __u32 end = end_of(packet);
  if (packet->flags & TCP_FIN) {
    if (flow->marks & PACKET_FIN_ACKED) return;
    flow->fin_end = end;
    if (mark(flow, PACKET_FIN_SEEN)) emit(flow, peer, PACKET_EVENT_FIN);
  } else if ((flow->marks & (PACKET_FIN_SEEN | PACKET_FIN_ACKED)) == PACKET_FIN_SEEN &&
             is_before(flow->fin_end, end)) {
    /* Bytes behind the FIN: it was not S's. */
    __sync_fetch_and_and(&flow->marks, ~(__u32)PACKET_FIN_SEEN);
  }
}

/* What the packet acknowledges: bytes of R that S has. */
static __always_inline void track_ack(struct packet_flow* flow, struct packet_flow* peer,
                                      const struct packet* packet) {
  __u32 acked = packet->ack + flow->ack_delta;
  raise_to(&flow->ack_seen, packet->ack);
  raise_extended(&peer->acked, acked);
  raise_to(&peer->edge, acked + (packet->window << (flow->scale_from & 15)));
  if (!(peer->marks & PACKET_FIN_SEEN) || is_before(acked, peer->fin_end)) return;
  if (!mark(peer, PACKET_FIN_ACKED)) return;
  if (flow->marks & PACKET_FIN_ACKED) finish(flow, peer, PACKET_EVENT_END);
}

/* What the packet would decide for good: that the flow ends, or the offset of its timestamps. */
static __always_inline int decides(const struct packet_flow* flow, const struct packet* packet) {
  return (packet->flags & (TCP_FIN | TCP_RST)) || (packet->timestamps && !flow->stamp_offset);
}

/* Returns whether the packet's numbers are believed. */
static __always_inline int track(struct __sk_buff* skb, struct packet_flow* flow,
                                 struct packet_flow* peer, const struct packet* packet) {
  flow->packets++;
  flow->last_ns = bpf_ktime_get_coarse_ns();
  if (decides(flow, packet) && !is_intact(skb, packet)) {
    count(PACKET_DAMAGED, 1);
    return 0;
  }
  if (packet->flags & TCP_RST) {
    track_reset(flow, peer, packet);
    return 0;
  }
  if (packet->flags & TCP_SYN) {
    count(PACKET_SYNS, 1);
    return 0;
  }
  __u32 acked = packet->ack + flow->ack_delta;
  if (!(packet->flags & TCP_ACK) || !is_in_window(flow, packet) ||
      is_before(edge_of(peer), acked)) {
    count(PACKET_UNBELIEVED, 1);
    return 0;
  }
  /* Before its acknowledgement is judged: if each end waited for the other one's bytes to be
   * believed, one packet that was missed would make both disbelieved for ever. */
  raise_to(&flow->sent, end_of(packet));
  if (is_before(peer->sent, acked)) {
    count(PACKET_UNBELIEVED, 1);
    return 0;
  }
  track_fin(flow, peer, packet);
  track_ack(flow, peer, packet);
  return 1;
}
