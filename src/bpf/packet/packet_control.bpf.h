/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* The only program that changes entries once they are in the map. Userspace runs it with a request.
 * */

#include "bpf/packet/packet_maps.bpf.h"

/* Sets everything but the name and the state, which PACKET_SET_STATE changes when both directions
 * are prepared. The verifier follows only reads of the context at fixed offsets, and `volatile`
 * makes the compiler keep them. */
static __always_inline void prepare(struct packet_flow* flow,
                                    const volatile struct packet_flow* from) {
  for (int i = 0; i < 4; i++) {
    flow->peer.source_be[i] = from->peer.source_be[i];
    flow->peer.target_be[i] = from->peer.target_be[i];
  }
  flow->peer.source_port_be = from->peer.source_port_be;
  flow->peer.target_port_be = from->peer.target_port_be;
  flow->peer.family = from->peer.family;
  flow->side = from->side;
  flow->seq_delta = from->seq_delta;
  flow->ack_delta = from->ack_delta;
  flow->ifindex = from->ifindex;
  flow->owned_end = from->owned_end;
  flow->scale_from = from->scale_from;
  flow->scale_to = from->scale_to;
  flow->ack_room = from->ack_room;
  flow->base = from->base;
  flow->stamp = from->stamp;
  flow->local_seq = from->local_seq;
  flow->stamp_ns = from->stamp_ns;
  flow->stamp_offset = 0;
  flow->acked = from->acked;
  flow->sent = from->sent;
  flow->edge = from->edge;
  flow->ack_seen = from->ack_seen;
}

/* Changes it in place, since a CPU may hold the entry: it must not pass to another key. */
static __always_inline enum packet_answer watch(struct packet_flow* flow, __u64 name, __u32 side) {
  if (flow->state != PACKET_FINISHED && flow->state != PACKET_FORGOTTEN) return PACKET_OTHER_STATE;
  flow->flow = name;
  flow->side = side;
  flow->marks = 0;
  flow->seen_ifindex = 0;
  flow->packets = 0;
  flow->last_ns = 0;
  flow->reset_ns = 0;
  flow->acked = 0;
  flow->state = PACKET_OBSERVED;
  return PACKET_DONE;
}

/* The proxy has written more to S. The bytes count as sent by R, since they came from R. */
static __always_inline void publish(struct packet_flow* flow, __u32 owned_end) {
  flow->owned_end = owned_end;
  struct packet_key key = flow->peer;
  struct packet_flow* peer = find_flow(&key);
  if (peer) raise_to(&peer->sent, owned_end + flow->ack_delta);
}

static __always_inline void note_fin(struct packet_flow* flow, __u32 fin_end) {
  flow->fin_end = fin_end;
  raise_to(&flow->sent, fin_end);
  struct packet_key key = flow->peer;
  struct packet_flow* peer = find_flow(&key);
  if (mark(flow, PACKET_FIN_SEEN) && peer) emit(flow, peer, PACKET_EVENT_FIN);
}

static __always_inline enum packet_answer answer(struct packet_control* request) {
  struct packet_key key = request->key;
  struct packet_flow* flow = find_flow(&key);
  if (!flow) return PACKET_NO_ENTRY;
  if (request->op == PACKET_WATCH) return watch(flow, request->flow.flow, request->flow.side);
  if (flow->flow != request->flow.flow) return PACKET_OTHER_FLOW;
  switch (request->op) {
    case PACKET_PREPARE:
      if (flow->state != PACKET_OBSERVED) return PACKET_OTHER_STATE;
      prepare(flow, &request->flow);
      return PACKET_DONE;
    case PACKET_SET_STATE:
      if (__sync_val_compare_and_swap(&flow->state, request->expected, request->value) !=
          request->expected)
        return PACKET_OTHER_STATE;
      return PACKET_DONE;
    case PACKET_PUBLISH:
      publish(flow, request->value);
      return PACKET_DONE;
    case PACKET_NOTE_FIN:
      note_fin(flow, request->value);
      return PACKET_DONE;
    case PACKET_ROUTE:
      flow->ifindex = request->value;
      return PACKET_DONE;
    case PACKET_FORGET:
      flow->state = PACKET_FORGOTTEN;
      return PACKET_DONE;
    case PACKET_WIDEN:
      raise_to(&flow->edge, request->value);
      raise_to(&flow->sent, request->flow.sent);
      raise_to(&flow->local_seq, request->flow.sent);
      return PACKET_DONE;
  }
  return PACKET_OTHER_STATE;
}

SEC("syscall")
int packet_control(struct packet_control* request) {
  request->answer = answer(request);
  return 0;
}
