/* The SOCKHASH planes: programs that move a backend's bytes out of the client's socket.
 *
 * Same host. The proxy registers the cookie of its backend socket before connect(). capture_backend
 * (sockops) sees that socket become established, remembers its four-tuple and sequence number, and a
 * moment later sees the backend's accepted socket with the same ones: that socket goes to LOCAL_MAP.
 * From then on redirect_msg (sk_msg) runs on each of its writes and sends them straight out of the
 * client's socket, as long as nothing older is on its way through userspace and the client's send
 * queue has room that userspace has granted. Else the bytes pass, and travel as if we were not here.
 *
 * Remote. The proxy's backend socket is in SOURCE_MAP, so redirect_skb (sk_skb, no parser) runs on
 * what arrives from the network and queues it behind the client's socket. The kernel bounds that
 * queue by nothing, so the program counts it and passes bytes to userspace above a bound; until
 * userspace has forwarded them, everything after them passes too, and the order holds.
 *
 * Kernel structures are declared here with the members that we read and found by CO-RE, so that an
 * object built on one kernel loads on others. */

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/sock_shared.h"

#define ALWAYS_INLINE static __attribute__((always_inline)) inline

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct tcp_ulp_ops;
struct sock_common {
  unsigned long skc_flags;
};
struct sock {
  struct sock_common __sk_common;
};
struct inet_sock {
  struct sock sk;
};
struct inet_connection_sock {
  struct inet_sock icsk_inet;
  const struct tcp_ulp_ops* icsk_ulp_ops;
};
struct tcp_sock {
  struct inet_connection_sock inet_conn;
  __u32 write_seq;
};
enum sock_flags { SOCK_ZEROCOPY = 1 };
#pragma clang attribute pop

char LICENSE[] SEC("license") = "GPL";

enum { ADDRESS_FAMILY_IPV4 = 2, ADDRESS_FAMILY_IPV6 = 10 };

/* Targets: clients' sockets. No program is attached, so their receive side stays plain TCP. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __type(key, __u64);
  __type(value, __u64);
  __uint(max_entries, 65536);
} SOCK_MAP SEC(".maps");

/* The proxy's sockets to remote backends; redirect_skb is attached. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __type(key, __u64);
  __type(value, __u64);
  __uint(max_entries, 65536);
} SOURCE_MAP SEC(".maps");

/* Accepted sockets of backends on this host; redirect_msg is attached, and no stream verdict: that
 * would divert what the backend receives. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKHASH);
  __type(key, __u64);
  __type(value, __u64);
  __uint(max_entries, 65536);
} LOCAL_MAP SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct sock_slot);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_MMAPABLE);
} SLOT_STATE SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, SOCK_STATS);
} TRAFFIC_STATS SEC(".maps");

/* Not touched by the programs: the resolver's second level. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, __u64);
  __type(value, struct dns_record);
  __uint(max_entries, 4096);
} DNS_CACHE SEC(".maps");

/* The key of DNS_CACHE's hash; pinned with it, or the records could not be found again. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __uint(value_size, DNS_KEY_BYTES);
  __uint(max_entries, 1);
} DNS_CACHE_KEY SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u64);
  __type(value, struct sock_pair);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} REGISTERED SEC(".maps");

/* Entries of remote backends are never claimed; LRU lets them fall out. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct sock_tuple);
  __type(value, struct sock_expected);
  __uint(max_entries, 16384);
} EXPECTED SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sock_local);
} LOCAL_STATE SEC(".maps");

/* sk_skb has no socket storage: a source's cookie to its pair. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u64);
  __type(value, struct sock_pair);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} SOURCE_PAIR SEC(".maps");

/* One ring buffer per worker: a ring buffer has one consumer. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, SOCK_WORKERS_MAX);
  __type(key, __u32);
  __array(values, struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, SOCK_RING_BYTES);
  });
} NOTICES SEC(".maps");

ALWAYS_INLINE void count(__u32 stat, __u64 amount) {
  __u64* value = bpf_map_lookup_elem(&TRAFFIC_STATS, &stat);
  if (value) *value += amount;
}

ALWAYS_INLINE int pass(__u32 why) {
  count(why, 1);
  return SK_PASS;
}

/* The slot, if it still serves the pair of this owner. */
ALWAYS_INLINE struct sock_slot* slot_of(__u32 index, __u64 owner) {
  struct sock_slot* slot = bpf_map_lookup_elem(&SLOT_STATE, &index);
  if (!slot || *(volatile __u64*)&slot->owner != owner) return 0;
  return slot;
}

/* Plaintext of kTLS must not leave, and a sender with SO_ZEROCOPY waits for completions that only its
 * own socket's queue can give. */
ALWAYS_INLINE int must_stay(struct tcp_sock* tcp) {
  if (tcp->inet_conn.icsk_ulp_ops) return 1;
  __u32 zerocopy = bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY);
  return (tcp->inet_conn.icsk_inet.sk.__sk_common.skc_flags >> (zerocopy & 63)) & 1;
}

/* Takes the message's cost out of the credit. An exchange that fails met a new grant; the message
 * passes, which is always right. */
ALWAYS_INLINE int take_credit(struct sock_slot* slot, __u64 owner, __u32 size) {
  __u64 had = *(volatile __u64*)&slot->credit;
  __u64 charge =
      size + SOCK_CREDIT_OVERHEAD * (1 + (__u64)(size >> SOCK_CREDIT_PIECE_SHIFT));
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

/* Bytes on their way from redirect_skb to the client's send queue, or -1 where the client is gone. */
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
    __u32 queued =
        slot->base + (__u32)slot->redirected + (__u32)slot->forwarded - written;
    backlog = queued;
  }
  bpf_sk_release(sk);
  return backlog;
}

/* Adding to `passed` before looking at `asleep` is one half of a handshake; userspace sets `asleep`
 * before it looks at `passed`. Both are full barriers, so one of the two sees the other. */
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

/* Runs under the lock of the proxy's backend socket, once per sk_buff of its receive queue. */
SEC("sk_skb/stream_verdict")
int redirect_skb(struct __sk_buff* skb) {
  __u32 size = skb->len;
  /* Redirecting an empty sk_buff would set EPIPE on the target and stop it for good. */
  if (size == 0) return pass(SOCK_SKB_PASS_EMPTY);
  __u64 owner = bpf_get_socket_cookie(skb);
  struct sock_pair* pair = bpf_map_lookup_elem(&SOURCE_PAIR, &owner);
  if (!pair) return pass(SOCK_SKB_PASS_UNKNOWN);
  struct sock_slot* slot = slot_of(pair->slot, owner);
  if (!slot) return pass(SOCK_SKB_PASS_UNKNOWN);
  struct sock_notice notice = {.owner = owner, .slot = pair->slot};
  __u64 client = pair->client;
  if (!*(volatile __u32*)&slot->armed || slot->passed != *(volatile __u64*)&slot->forwarded)
    return pass_to_userspace(slot, &notice, size, SOCK_SKB_PASS_GATE);
  __s64 backlog = backlog_of(slot, client);
  if (backlog < 0) return pass_to_userspace(slot, &notice, size, SOCK_SKB_MISSES);
  if (backlog > slot->backlog_peak) slot->backlog_peak = (__u32)backlog;
  if (backlog + size > slot->backlog_max) {
    slot->backlog_ended++;
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

ALWAYS_INLINE void map_ipv4(__u8* out, __u32 address_be) {
  __u32* words = (__u32*)out;
  words[0] = 0;
  words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = address_be;
}

/* The connection from the accepting side's view. */
ALWAYS_INLINE int tuple_of(struct bpf_sock_ops* ops, int accepting, struct sock_tuple* tuple) {
  __u8* local = accepting ? tuple->local_addr : tuple->remote_addr;
  __u8* remote = accepting ? tuple->remote_addr : tuple->local_addr;
  if (ops->family == ADDRESS_FAMILY_IPV4) {
    map_ipv4(local, ops->local_ip4);
    map_ipv4(remote, ops->remote_ip4);
  } else if (ops->family == ADDRESS_FAMILY_IPV6) {
    __u32* words = (__u32*)local;
    words[0] = ops->local_ip6[0];
    words[1] = ops->local_ip6[1];
    words[2] = ops->local_ip6[2];
    words[3] = ops->local_ip6[3];
    words = (__u32*)remote;
    words[0] = ops->remote_ip6[0];
    words[1] = ops->remote_ip6[1];
    words[2] = ops->remote_ip6[2];
    words[3] = ops->remote_ip6[3];
  } else {
    return 0;
  }
  __u16 local_port = (__u16)ops->local_port;
  __u16 remote_port = (__u16)bpf_ntohl(ops->remote_port);
  tuple->local_port = accepting ? local_port : remote_port;
  tuple->remote_port = accepting ? remote_port : local_port;
  return 1;
}

/* A connect() of the proxy succeeded; its final ACK is not sent yet, so the other end has not become
 * established. */
ALWAYS_INLINE void expect_backend(struct bpf_sock_ops* ops) {
  __u64 owner = bpf_get_socket_cookie(ops);
  struct sock_pair* pair = bpf_map_lookup_elem(&REGISTERED, &owner);
  if (!pair) return;
  struct sock_tuple tuple = {};
  struct sock_expected expected = {
      .owner = owner, .client = pair->client, .slot = pair->slot, .rcv_nxt = ops->snd_nxt};
  struct sock_slot* slot = slot_of(pair->slot, owner);
  if (slot) slot->expected = 1;
  bpf_map_delete_elem(&REGISTERED, &owner);
  if (tuple_of(ops, 0, &tuple)) bpf_map_update_elem(&EXPECTED, &tuple, &expected, BPF_ANY);
}

/* Some socket of this host was accepted: ours only if everything matches, and only once. */
ALWAYS_INLINE void catch_backend(struct bpf_sock_ops* ops) {
  struct sock_tuple tuple = {};
  if (!tuple_of(ops, 1, &tuple)) return;
  struct sock_expected* found = bpf_map_lookup_elem(&EXPECTED, &tuple);
  if (!found) return;
  struct sock_expected expected = *found;
  if (expected.rcv_nxt != ops->rcv_nxt) {
    count(SOCK_CAPTURE_MISMATCHES, 1);
    return;
  }
  if (bpf_map_delete_elem(&EXPECTED, &tuple)) return;
  struct sock_slot* slot = slot_of(expected.slot, expected.owner);
  struct bpf_sock* sk = ops->sk;
  if (!slot || !sk) return;
  struct sock_local local = {.owner = expected.owner,
                             .client = expected.client,
                             .slot = expected.slot,
                             .first_seq = ops->snd_nxt};
  __u64 cookie = bpf_get_socket_cookie(ops);
  if (!bpf_sk_storage_get(&LOCAL_STATE, sk, &local, BPF_SK_STORAGE_GET_F_CREATE) ||
      bpf_sock_hash_update(ops, &LOCAL_MAP, &cookie, BPF_NOEXIST)) {
    count(SOCK_CAPTURE_FAILURES, 1);
    return;
  }
  __sync_lock_test_and_set(&slot->backend, cookie);
  count(SOCK_CAPTURES, 1);
}

/* Attached to the root cgroup, so it runs for every TCP connection of the host. It leaves `reply`
 * alone: other programs' answers stand. */
SEC("sockops")
int capture_backend(struct bpf_sock_ops* ops) {
  if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
    expect_backend(ops);
  else if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
    catch_backend(ops);
  return 1;
}
