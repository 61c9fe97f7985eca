#pragma once

/* capture_backend: finds the accepted socket of a backend on this host, in whatever network
 * namespace it lives. The proxy has registered the cookie of the socket that it connects;
 * four-tuple and sequence number then tell the other end from every other socket of the host, those
 * with the same addresses in another namespace included. */

#include "bpf/sock_maps.bpf.h"

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

/* A connect() of the proxy succeeded; its final ACK is not sent yet, so the other end has not
 * become established. */
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

/* A backend that accepts blocking sockets, as redirect_msg has found a short time ago. */
ALWAYS_INLINE int known_to_block(const struct sock_listener* listener) {
  __u64* seen = bpf_map_lookup_elem(&BLOCKING, listener);
  return seen && bpf_ktime_get_ns() - *seen < SOCK_BLOCKING_SECONDS * 1000000000ull;
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
  struct sock_local local = {
      .owner = expected.owner,
      .client = expected.client,
      .slot = expected.slot,
      .first_seq = ops->snd_nxt,
      .listener = {.netns = bpf_get_netns_cookie(ops), .port = tuple.local_port}};
  __builtin_memcpy(local.listener.addr, tuple.local_addr, sizeof(tuple.local_addr));
  if (known_to_block(&local.listener)) {
    count(SOCK_CAPTURE_BLOCKING, 1);
    return;
  }
  __u64 cookie = bpf_get_socket_cookie(ops);
  if (!bpf_sk_storage_get(&LOCAL_STATE, sk, &local, BPF_SK_STORAGE_GET_F_CREATE) ||
      bpf_sock_hash_update(ops, &LOCAL_MAP, &cookie, BPF_NOEXIST)) {
    count(SOCK_CAPTURE_FAILURES, 1);
    return;
  }
  bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
  __sync_lock_test_and_set(&slot->backend, cookie);
  count(SOCK_CAPTURES, 1);
}

/* A socket changes state that reports it: one of ours, or one of another program's. From the
 * backend's own FIN on there is nothing to redirect, and its ACK would end a blocking recv(). */
ALWAYS_INLINE void let_go(struct bpf_sock_ops* ops) {
  if (ops->args[1] != BPF_TCP_FIN_WAIT1 && ops->args[1] != BPF_TCP_LAST_ACK) return;
  __u64 cookie = bpf_get_socket_cookie(ops);
  bpf_map_delete_elem(&LOCAL_MAP, &cookie);
}

/* Attached to the root cgroup, so it runs for every TCP connection of the host. It leaves `reply`
 * alone: other programs' answers stand. */
SEC("sockops")
int capture_backend(struct bpf_sock_ops* ops) {
  if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
    expect_backend(ops);
  else if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
    catch_backend(ops);
  else if (ops->op == BPF_SOCK_OPS_STATE_CB)
    let_go(ops);
  return 1;
}
