/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* capture_backend: finds the accepted socket of a backend on this host, in any network namespace.
 * The proxy has registered the cookie of the socket that it connects. Four-tuple and sequence
 * number then identify the other end among all sockets of the host, including those with the same
 * addresses in another namespace. */

#include "bpf/sockhash/sock_manner.bpf.h"
#include "bpf/sockhash/sock_maps.bpf.h"

enum { ADDRESS_FAMILY_IPV4 = 2, ADDRESS_FAMILY_IPV6 = 10 };

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

/* A connect() of the proxy succeeded. Its final ACK is not sent yet, so the other end is not
 * established yet. */
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

/* Makes look_at() run in every round trip. The flag stays: a socket may change its blocking mode,
 * and another program may have asked for the same calls. */
ALWAYS_INLINE void watch(struct bpf_sock_ops* ops, __u32 more) {
  bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_RTT_CB_FLAG | more);
}

/* A socket of this host was accepted. It is ours only if everything matches, and only once. */
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
  struct sock_local local = {
      .owner = expected.owner,
      .client = expected.client,
      .slot = expected.slot,
      .first_seq = ops->snd_nxt,
      .listener = {.netns = bpf_get_netns_cookie(ops), .port = tuple.local_port}};
  __builtin_memcpy(local.listener.addr, tuple.local_addr, sizeof(tuple.local_addr));
  local.since = listening_since(&local.listener);
  switch (manner_known(&local)) {
    case MANNER_BLOCKING:
      slot->blocking = 1;
      count(SOCK_CAPTURE_BLOCKING, 1);
      return;
    case MANNER_UNKNOWN:
      slot->left_out = 1;
      local.owner = 0;
      if (bpf_sk_storage_get(&LOCAL_STATE, sk, &local, BPF_SK_STORAGE_GET_F_CREATE)) watch(ops, 0);
      count(SOCK_CAPTURE_LEARNING, 1);
      return;
    case MANNER_EVENT_DRIVEN:
      break;
  }
  __u64 cookie = bpf_get_socket_cookie(ops);
  if (!bpf_sk_storage_get(&LOCAL_STATE, sk, &local, BPF_SK_STORAGE_GET_F_CREATE) ||
      bpf_sock_hash_update(ops, &LOCAL_MAP, &cookie, BPF_NOEXIST)) {
    count(SOCK_CAPTURE_FAILURES, 1);
    return;
  }
  watch(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
  __sync_lock_test_and_set(&slot->backend, cookie);
  count(SOCK_CAPTURES, 1);
}

/* A socket with state callbacks changes state: one of ours, or one of another program. After the
 * backend's own FIN there is nothing to redirect, and its ACK would end a blocking recv(). */
ALWAYS_INLINE void let_go(struct bpf_sock_ops* ops) {
  if (ops->args[1] != BPF_TCP_FIN_WAIT1 && ops->args[1] != BPF_TCP_LAST_ACK) return;
  __u64 cookie = bpf_get_socket_cookie(ops);
  bpf_map_delete_elem(&LOCAL_MAP, &cookie);
}

/* Bytes that a socket wrote were acknowledged: one of ours, or one of another program. */
ALWAYS_INLINE void look_at(struct bpf_sock_ops* ops) {
  struct bpf_sock* sk = ops->sk;
  struct sock_local* local = sk ? bpf_sk_storage_get(&LOCAL_STATE, sk, 0, 0) : 0;
  struct tcp_sock* tcp = local ? bpf_skc_to_tcp_sock(sk) : 0;
  if (!tcp) return;
  enum manner manner = manner_of(tcp);
  if (manner == MANNER_EVENT_DRIVEN && ++local->looks == SOCK_LOOKS) remember(local, 0);
  if (manner != MANNER_BLOCKING) return;
  remember(local, 1);
  if (!local->owner) return;
  __u64 cookie = bpf_get_socket_cookie(ops);
  bpf_map_delete_elem(&LOCAL_MAP, &cookie);
  struct sock_slot* slot = slot_of(local->slot, local->owner);
  if (slot) slot->blocking = 1;
}

/* Perhaps another program than the one whose mode was learned. */
ALWAYS_INLINE void forget(struct bpf_sock_ops* ops) {
  struct sock_port port = {.netns = bpf_get_netns_cookie(ops), .port = ops->local_port};
  __u64* since = bpf_map_lookup_elem(&LISTENING, &port);
  if (since) *(volatile __u64*)since = bpf_ktime_get_ns();
}

/* Attached to the root cgroup, so it runs for every TCP connection of the host. It leaves `reply`
 * alone, so that other programs' answers stand. */
SEC("sockops")
int capture_backend(struct bpf_sock_ops* ops) {
  if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
    expect_backend(ops);
  else if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
    catch_backend(ops);
  else if (ops->op == BPF_SOCK_OPS_STATE_CB)
    let_go(ops);
  else if (ops->op == BPF_SOCK_OPS_RTT_CB)
    look_at(ops);
  else if (ops->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
    forget(ops);
  return 1;
}
