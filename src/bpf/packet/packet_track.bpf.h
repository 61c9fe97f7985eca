/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Tracks the two directions of a flow by the rules of its ends, so that an off-path attacker cannot
 * make us believe what the ends would not. Numbers count only from packets inside the receiver's
 * window that acknowledge nothing unsent (RFC 9293 section 3.10.7.4, RFC 5961), and bytes count
 * when the receiver has acknowledged them. A packet that is not believed is still forwarded: the
 * receiver judges it as always. */

#include "bpf/packet/packet_checksum.bpf.h"

/* The right edge of R's window, as far as we know it. Bytes that continue the stream without a gap
 * count as inside. S may know a larger window than we do: an update was not believed, the proxy's
 * own socket sent one, or rounding to the scale enlarged one. If such bytes were not believed,
 * neither would be their acknowledgement, which carries the next window, and the flow would never
 * be believed again. */
static __always_inline __u32 edge_of(const struct packet_flow* flow) {
  __u32 sent = flow->sent, edge = flow->edge;
  return is_before(edge, sent) ? sent : edge;
}

/* As R does in tcp_sequence() (net/ipv4/tcp_input.c), which cuts what reaches beyond the edge. */
static __always_inline int is_in_window(const struct packet_flow* flow,
                                        const struct packet* packet) {
  return !is_before(end_of(packet), (__u32)flow->acked) && !is_before(edge_of(flow), packet->seq);
}

/* Ends both directions, once. */
static __always_inline void finish(struct packet_flow* flow, struct packet_flow* peer,
                                   enum packet_event_kind kind) {
  struct packet_flow* first = flow->side == PACKET_CLIENT ? flow : peer;
  struct packet_flow* second = flow->side == PACKET_CLIENT ? peer : flow;
  if (__sync_lock_test_and_set(&first->state, PACKET_FINISHED) == PACKET_FINISHED) return;
  second->state = PACKET_FINISHED;
  emit(flow, peer, kind);
}

/* An RST ends the flow if its number is the next one that R expects. R may have received more than
 * it has acknowledged, so two numbers are possible. A number between them ends the flow only if
 * nothing is sent any more. */
static __always_inline void track_reset(struct packet_flow* flow, struct packet_flow* peer,
                                        const struct packet* packet) {
  __u32 acked = (__u32)flow->acked;
  if (packet->seq == acked || packet->seq == flow->sent) {
    /* S may have put off its last acknowledgement, which then comes with the RST. */
    __u32 received = packet->ack + flow->ack_delta;
    if ((packet->flags & TCP_ACK) && !is_before(peer->sent, received))
      raise_extended(&peer->acked, received);
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
    /* There are bytes after the FIN, so it was not S's. */
    __sync_fetch_and_and(&flow->marks, ~(__u32)PACKET_FIN_SEEN);
  }
}

/* The packet's acknowledgement: bytes of R that S has received. */
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

/* Whether the packet would set something permanently: the end of the flow, or the offset of its
 * timestamps. */
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
  /* This precedes the check of its acknowledgement. If the bytes of each end were believed only
   * after those of the other, one missed packet would make both unbelieved for ever. */
  raise_to(&flow->sent, end_of(packet));
  if (is_before(peer->sent, acked)) {
    count(PACKET_UNBELIEVED, 1);
    return 0;
  }
  track_fin(flow, peer, packet);
  track_ack(flow, peer, packet);
  return 1;
}
