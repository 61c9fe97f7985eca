/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The SOCKHASH planes: programs that send a backend's bytes out of the client's socket.
 *
 * Same host. The proxy registers the cookie of its backend socket before connect(). capture_backend
 * (sockops) sees that socket become established and remembers its four-tuple and sequence number. A
 * moment later it sees the backend's accepted socket with the same ones and adds it to LOCAL_MAP.
 * From then on redirect_msg (sk_msg) runs on each of its writes and sends them straight out of the
 * client's socket, as long as no older bytes are on their way through userspace and the client's
 * send queue has room that userspace has granted. Otherwise the bytes pass and travel as usual.
 *
 * Remote. The proxy's backend socket is in SOURCE_MAP, so redirect_skb (sk_skb, no parser) runs on
 * what arrives from the network and queues it behind the client's socket. The kernel does not bound
 * that queue, so the program counts it and passes bytes above a bound to userspace. Until userspace
 * has forwarded them, all later bytes pass too, which keeps the order.
 *
 * sock_maps.bpf.h has the maps, sock_capture.bpf.h the sockops program, and sock_manner.bpf.h
 * decides which sockets may be captured. */

#include "bpf/sockhash/sock_manner.bpf.h"
#include "bpf/sockhash/sock_maps.bpf.h"

/* Plaintext of kTLS must not leave, and a sender with SO_ZEROCOPY waits for completions that only
 * its own socket's queue generates. */
ALWAYS_INLINE int must_stay(struct tcp_sock* tcp) {
  if (tcp->inet_conn.icsk_ulp_ops) return 1;
  __u32 zerocopy = bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY);
  return (tcp->inet_conn.icsk_inet.sk.__sk_common.skc_flags >> (zerocopy & 63)) & 1;
}

/* Takes the message's cost out of the credit. The exchange fails if a new grant came in between;
 * then the message passes, which is always correct. */
ALWAYS_INLINE int take_credit(struct sock_slot* slot, __u64 owner, __u32 size) {
  __u64 had = *(volatile __u64*)&slot->credit;
  __u64 charge = size + SOCK_CREDIT_OVERHEAD * (1 + (__u64)(size >> SOCK_CREDIT_PIECE_SHIFT));
  if (had >> 32 != (__u32)owner || (__u32)had < charge) return 0;
  if (__sync_val_compare_and_swap(&slot->credit, had, had - charge) != had) return 0;
  slot->last_charge = (__u32)charge;
  return 1;
}

/* Runs under the lock of the backend's socket, with the bytes not yet in any queue. */
SEC("sk_msg")
int redirect_msg(struct sk_msg_md* msg) {
  struct bpf_sock* sk = msg->sk;
  if (!sk) return pass(SOCK_MSG_PASS_UNKNOWN);
  struct sock_local* local = bpf_sk_storage_get(&LOCAL_STATE, sk, 0, 0);
  if (!local) return pass(SOCK_MSG_PASS_UNKNOWN);
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock(sk);
  if (!tcp) return pass(SOCK_MSG_PASS_UNKNOWN);
  if (must_stay(tcp)) return pass(SOCK_MSG_PASS_ULP);
  __u64 owner = local->owner;
  struct sock_slot* slot = slot_of(local->slot, owner);
  if (!slot) return pass(SOCK_MSG_PASS_UNKNOWN);
  if (manner_of(tcp) != MANNER_EVENT_DRIVEN) {
    remember(local, 1);
    slot->blocking = 1;
    return pass(SOCK_MSG_PASS_BLOCKING);
  }
  if (tcp->write_seq - local->first_seq != (__u32) * (volatile __u64*)&slot->forwarded)
    return pass(SOCK_MSG_PASS_ORDER);
  __u32 size = msg->size;
  if (!take_credit(slot, owner, size)) return pass(SOCK_MSG_PASS_CREDIT);
  __u64 client = local->client;
  /* A miss returns SK_DROP, which would be an error to the sender. */
  if (bpf_msg_redirect_hash(msg, &SOCK_MAP, &client, 0) != SK_PASS) return pass(SOCK_MSG_MISSES);
  __sync_fetch_and_add(&slot->redirected, size);
  count(SOCK_MSG_REDIRECTS, 1);
  count(SOCK_MSG_REDIRECTED_BYTES, size);
  return SK_PASS;
}

/* Bytes on their way from redirect_skb to the client's send queue, or -1 if the client is gone.
 */
ALWAYS_INLINE __s64 backlog_of(struct sock_slot* slot, __u64 client) {
  struct bpf_sock* sk = bpf_map_lookup_elem(&SOCK_MAP, &client);
  if (!sk) return -1;
  __s64 backlog = -1;
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock(sk);
  if (tcp) {
    __u32 written = tcp->write_seq;
    if (!slot->based) {
      slot->base = written - (__u32)slot->redirected - (__u32)slot->forwarded;
      slot->based = 1;
    }
    __u32 queued = slot->base + (__u32)slot->redirected + (__u32)slot->forwarded - written;
    backlog = queued;
  }
  bpf_sk_release(sk);
  return backlog;
}

/* This adds to `passed` before it reads `asleep`; userspace sets `asleep` before it reads `passed`.
 * Both are full barriers, so one of the two sees the other's write. */
ALWAYS_INLINE int pass_to_userspace(struct sock_slot* slot, struct sock_notice* notice, __u32 size,
                                    __u32 why) {
  __sync_fetch_and_add(&slot->passed, size);
  count(SOCK_SKB_PASSED_BYTES, size);
  if (__sync_lock_test_and_set(&slot->asleep, 0)) {
    __u32 worker = slot->worker;
    void* ring = bpf_map_lookup_elem(&NOTICES, &worker);
    if (ring && bpf_ringbuf_output(ring, notice, sizeof(*notice), 0) == 0)
      count(SOCK_NOTICES, 1);
    else
      count(SOCK_NOTICES_LOST, 1);
  }
  return pass(why);
}

/* Cuts off the bytes of an sk_buff that were received before. TCP queues a segment that begins with
 * old bytes whole (tcp_data_queue: retransmitted with other boundaries) and lets its readers skip
 * them by copied_seq, but tcp_read_skb() gives us sk_buffs and not bytes. The same holds for an
 * sk_buff that userspace has partly read. Negative: there was no memory. */
ALWAYS_INLINE int skip_repeated(struct __sk_buff* skb, struct sock_slot* slot) {
  __u32 size = skb->len;
  /* tcp_skb_cb.seq: sk_skb programs see the control block from its start. */
  __u32 seq = skb->cb[0];
  struct bpf_sock* sk = skb->sk;
  struct tcp_sock* tcp = sk ? bpf_skc_to_tcp_sock(sk) : 0;
  if (!tcp) return 0;
  /* Passed bytes are not copied yet, and we did not see those that userspace read from the receive
   * queue. */
  __u32 next = tcp->copied_seq;
  if (slot->met && (__s32)(slot->next_seq - next) > 0) next = slot->next_seq;
  slot->met = 1;
  slot->next_seq = (__s32)(seq + size - next) > 0 ? seq + size : next;
  if ((__s32)(next - seq) <= 0) return 0;
  __u32 repeated = next - seq < size ? next - seq : size;
  count(SOCK_SKB_REPEATED_BYTES, repeated);
  for (int i = 0; i < SOCK_CUTS_MAX && repeated > 0; i++) {
    __u32 cut = repeated < SOCK_CUT_BYTES ? repeated : SOCK_CUT_BYTES;
    if (bpf_skb_adjust_room(skb, -(__s32)cut, 0, 0)) return -1;
    repeated -= cut;
  }
  return repeated ? -1 : 0;
}

/* Runs under the lock of the proxy's backend socket, once per sk_buff of its receive queue. */
SEC("sk_skb/stream_verdict")
int redirect_skb(struct __sk_buff* skb) {
  __u64 owner = bpf_get_socket_cookie(skb);
  struct sock_pair* pair = bpf_map_lookup_elem(&SOURCE_PAIR, &owner);
  if (!pair) return pass(SOCK_SKB_PASS_UNKNOWN);
  struct sock_slot* slot = slot_of(pair->slot, owner);
  if (!slot) return pass(SOCK_SKB_PASS_UNKNOWN);
  struct sock_notice notice = {.owner = owner, .slot = pair->slot};
  __u64 client = pair->client;
  if (skb->len && !slot->torn && skip_repeated(skb, slot)) slot->torn = 1;
  __u32 size = skb->len;
  if (slot->torn) {
    pass_to_userspace(slot, &notice, size, SOCK_SKB_TORN);
    return SK_DROP;
  }
  /* Redirecting an empty sk_buff would set EPIPE on the target and stop it for good. */
  if (size == 0) return pass(SOCK_SKB_PASS_EMPTY);
  if (!*(volatile __u32*)&slot->armed || slot->passed != *(volatile __u64*)&slot->forwarded)
    return pass_to_userspace(slot, &notice, size, SOCK_SKB_PASS_GATE);
  __s64 backlog = backlog_of(slot, client);
  if (backlog < 0) return pass_to_userspace(slot, &notice, size, SOCK_SKB_MISSES);
  if (backlog > slot->backlog_peak) slot->backlog_peak = (__u32)backlog;
  if (backlog + size > slot->backlog_max) {
    return pass_to_userspace(slot, &notice, size, SOCK_SKB_PASS_BACKLOG);
  }
  /* A failure returns SK_DROP, and returning that would acknowledge the bytes and discard them. */
  if (bpf_sk_redirect_hash(skb, &SOCK_MAP, &client, 0) != SK_PASS)
    return pass_to_userspace(slot, &notice, size, SOCK_SKB_MISSES);
  slot->redirected += size;
  count(SOCK_SKB_REDIRECTS, 1);
  count(SOCK_SKB_REDIRECTED_BYTES, size);
  return SK_PASS;
}

#include "bpf/sockhash/sock_capture.bpf.h"
