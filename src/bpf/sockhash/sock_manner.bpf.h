/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Whether a backend's sockets are blocking, which decides whether they may be captured.
 *
 * While a socket has a psock, its recv() is tcp_bpf_recvmsg(), which waits once and then gives up:
 * any other wake-up (the ACK of its FIN, send space) ends a blocking recv() with EAGAIN. An
 * event-driven program does not notice; a blocking one would take it for a timeout. But sockops
 * programs may insert a socket only when it becomes established, before it is accepted, and then
 * nobody knows how it will be used. So the mode is learned per listener first: an earlier
 * connection is only observed, once in each round trip of its answers, when its program has long
 * accepted it. The result expires after some time, or as soon as another program listens on the
 * port.
 */

#include "bpf/sockhash/sock_maps.bpf.h"

/* O_NONBLOCK of asm-generic/fcntl.h: x86, arm64, riscv, s390, power. */
enum { FILE_NONBLOCK = 04000 };

enum manner { MANNER_UNKNOWN, MANNER_EVENT_DRIVEN, MANNER_BLOCKING };

/* Unknown: not accepted yet, or closed by its program. */
ALWAYS_INLINE enum manner manner_of(struct tcp_sock* tcp) {
  struct socket* socket = tcp->inet_conn.icsk_inet.sk.sk_socket;
  struct file* file = socket ? socket->file : 0;
  if (!file) return MANNER_UNKNOWN;
  return file->f_flags & FILE_NONBLOCK ? MANNER_EVENT_DRIVEN : MANNER_BLOCKING;
}

/* An entry that was evicted from the map comes back with another time, which invalidates the
 * result. */
ALWAYS_INLINE __u64 listening_since(const struct sock_listener* listener) {
  struct sock_port port = {.netns = listener->netns, .port = listener->port};
  __u64* since = bpf_map_lookup_elem(&LISTENING, &port);
  if (since) return *(volatile __u64*)since;
  __u64 now = bpf_ktime_get_ns();
  bpf_map_update_elem(&LISTENING, &port, &now, BPF_ANY);
  return now;
}

/* The learned mode of the listener. */
ALWAYS_INLINE enum manner manner_known(const struct sock_local* local) {
  const struct sock_manner* known = bpf_map_lookup_elem(&LISTENERS, &local->listener);
  if (!known || known->since != local->since) return MANNER_UNKNOWN;
  __u64 seconds = known->blocking ? SOCK_BLOCKING_SECONDS : SOCK_EVENT_DRIVEN_SECONDS;
  if (bpf_ktime_get_ns() - known->seen_ns > seconds * 1000000000ull) return MANNER_UNKNOWN;
  return known->blocking ? MANNER_BLOCKING : MANNER_EVENT_DRIVEN;
}

/* One blocking socket outweighs all others. */
ALWAYS_INLINE void remember(const struct sock_local* local, __u32 blocking) {
  if (!blocking && manner_known(local) == MANNER_BLOCKING) return;
  struct sock_manner manner = {
      .seen_ns = bpf_ktime_get_ns(), .since = local->since, .blocking = blocking};
  bpf_map_update_elem(&LISTENERS, &local->listener, &manner, BPF_ANY);
}
