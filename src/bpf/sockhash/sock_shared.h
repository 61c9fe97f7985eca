/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Keys and values of every map of the SOCKHASH planes, for both compilers: clang builds the BPF
 * side as C, g++ the loader as C++. Edit here only. Fixed-width types, explicit padding, sizes
 * asserted. */

#include <linux/types.h>

#ifdef __cplusplus
#define SNI_SIZE_IS(type, size) static_assert(sizeof(type) == (size))
#else
#define SNI_SIZE_IS(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

enum {
  /* The charge for one message besides its bytes, once and again per started 4 KiB. It pays for the
   * sk_buffs in the client's send queue (truesize of an empty one: 1280 on x86-64, Linux 6.18). If
   * memory is fragmented, each page of a message can become an sk_buff. */
  SOCK_CREDIT_OVERHEAD = 2048,
  SOCK_CREDIT_PIECE_SHIFT = 12,
  /* How long a listener's learned mode is valid. */
  SOCK_BLOCKING_SECONDS = 24 * 60 * 60,
  SOCK_EVENT_DRIVEN_SECONDS = 60 * 60,
  /* Round trips of one connection in which its socket must be nonblocking. A program may be
   * event-driven only for the TLS handshake, which takes two or three. */
  SOCK_LOOKS = 4,
  /* bpf_skb_adjust_room() removes less than 4 KiB at once; an sk_buff has up to 512 KiB (BIG TCP).
   * */
  SOCK_CUT_BYTES = 4095,
  SOCK_CUTS_MAX = 129,
  /* A sleeping slot gets one notice of 24 bytes: 32 Ki slots cannot overflow the buffer. */
  SOCK_RING_BYTES = 1024 * 1024,
  SOCK_WORKERS_MAX = 256,
};

/* One proxied pair, in the mapped array SLOT_STATE. Userspace writes the first cache line, the
 * programs the second. Both change only `credit` and `asleep`, atomically. */
struct sock_slot {
  __u64 owner;         /* Cookie of the proxy's backend socket; 0: the slot is free. */
  __u64 forwarded;     /* Bytes of the backend that userspace put into the client's send queue. */
  __u64 credit;        /* (low half of owner) << 32 | bytes that redirect_msg may still send. */
  __u32 armed;         /* 1: redirect_skb may redirect. */
  __u32 backlog_max;   /* Bytes that redirect_skb may leave queued behind the client's socket. */
  __u32 asleep;        /* 1: userspace waits for a notification of PASSed bytes. */
  __u32 worker;        /* Whose ring buffer gets the notice. */
  __u32 announced;     /* Userspace only: 1: REGISTERED may have the owner. */
  __u32 sourced;       /* Userspace only: 1: SOURCE_PAIR has it. */
  __u64 written_base;  /* Userspace only: bytes the client's socket had sent when armed. */
  __u64 received_base; /* Userspace only: bytes read from the backend's socket until then. */

  __u64 backend;     /* Cookie of the captured accepted socket; 0: none. */
  __u64 redirected;  /* Bytes given to the client's socket by either program. */
  __u64 passed;      /* Bytes that redirect_skb gave to userspace. */
  __u32 last_charge; /* Of redirect_msg's latest message: it may not be in the send queue yet. */
  __u32 base;        /* write_seq of the client's socket when redirect_skb first ran. */
  __u32 based;       /* 1: base is valid. */
  __u32 backlog_peak;
  __u32 expected; /* 1: capture_backend saw the connect() succeed. */
  __u32 blocking; /* 1: the backend's socket blocks, and should leave LOCAL_MAP. */
  __u32 left_out; /* 1: 1: the backend is on this host, but not known to be safe to capture. */
  __u32 next_seq; /* After the last byte that redirect_skb has seen. */
  __u32 met;      /* 1: next_seq is valid. */
  __u32 torn;     /* 1: 1: bytes are lost or would repeat; the pair must be reset. */
};
SNI_SIZE_IS(struct sock_slot, 128);

/* REGISTERED: from the cookie of the proxy's backend socket, before connect, to its pair. */
struct sock_pair {
  __u64 client; /* Cookie of the client's socket. */
  __u32 slot;
  __u32 pad;
};
SNI_SIZE_IS(struct sock_pair, 16);

/* EXPECTED: a connection of the proxy as the backend's accepted socket will see it. IPv4 addresses
 * are stored v4-mapped, so that a dual-stack listener matches. */
struct sock_tuple {
  __u8 local_addr[16];
  __u8 remote_addr[16];
  __u16 local_port;
  __u16 remote_port;
};
SNI_SIZE_IS(struct sock_tuple, 36);

/* LISTENERS: a backend's address as its accepted sockets see it, in its network namespace, and the
 * observed mode of those sockets. */
struct sock_listener {
  __u64 netns;
  __u8 addr[16];
  __u32 port;
  __u32 pad;
};
SNI_SIZE_IS(struct sock_listener, 32);

struct sock_manner {
  __u64 seen_ns;  /* bpf_ktime_get_ns() */
  __u64 since;    /* Of LISTENING, when the observed socket was accepted. */
  __u32 blocking; /* 0: event-driven. */
  __u32 pad;
};
SNI_SIZE_IS(struct sock_manner, 24);

/* LISTENING: a port on which backends of ours were seen. */
struct sock_port {
  __u64 netns;
  __u32 port;
  __u32 pad;
};
SNI_SIZE_IS(struct sock_port, 16);

struct sock_expected {
  __u64 owner;
  __u64 client;
  __u32 slot;
  __u32 rcv_nxt; /* The proxy's snd_nxt: a four-tuple alone is not unique on a host. */
};
SNI_SIZE_IS(struct sock_expected, 24);

/* LOCAL_STATE: storage of a backend's socket that is captured or observed (owner 0). The target is
 * fixed here and not read from the slot, so that reuse of a slot can never divert a stream to
 * another client. */
struct sock_local {
  __u64 owner;
  __u64 client;
  __u32 slot;
  __u32 first_seq; /* write_seq when it was captured. */
  struct sock_listener listener;
  __u64 since; /* Of LISTENING, when it was accepted. */
  __u32 looks; /* How often it was observed to be nonblocking. */
  __u32 pad;
};
SNI_SIZE_IS(struct sock_local, 72);

/* Gate notification in a worker's ring buffer. */
struct sock_notice {
  __u64 owner;
  __u32 slot;
  __u32 pad;
};
SNI_SIZE_IS(struct sock_notice, 16);

/* TRAFFIC_STATS: per-CPU array of counters. Every exit of every program has one. */
enum sock_stat {
  SOCK_MSG_REDIRECTS,
  SOCK_MSG_REDIRECTED_BYTES,
  SOCK_MSG_PASS_UNKNOWN,  /* No state, or its slot now serves another pair. */
  SOCK_MSG_PASS_ULP,      /* kTLS or another upper layer protocol: plaintext (rule 12). */
  SOCK_MSG_PASS_BLOCKING, /* A blocking socket: see redirect_msg. */
  SOCK_MSG_PASS_ORDER,    /* Earlier bytes are still on their way through userspace (rule 10). */
  SOCK_MSG_PASS_CREDIT,   /* The client's send space is used up (rule 11). */
  SOCK_MSG_MISSES,        /* The client's socket is not in SOCK_MAP. */
  SOCK_SKB_REDIRECTS,
  SOCK_SKB_REDIRECTED_BYTES,
  SOCK_SKB_PASS_EMPTY, /* Only a FIN (rule 3). */
  SOCK_SKB_PASS_UNKNOWN,
  SOCK_SKB_PASS_GATE,    /* Not armed, or earlier PASSed bytes are not forwarded yet. */
  SOCK_SKB_PASS_BACKLOG, /* The client's backlog is at its bound (rule 1). */
  SOCK_SKB_PASSED_BYTES,
  SOCK_SKB_REPEATED_BYTES, /* Cut off: received before, see skip_repeated(). */
  SOCK_SKB_TORN,           /* They could not be cut off: the pair must be reset. */
  SOCK_SKB_MISSES,
  SOCK_NOTICES,
  SOCK_NOTICES_LOST, /* Ring buffer full: the deadline scan finds the slot. */
  SOCK_CAPTURES,
  SOCK_CAPTURE_LEARNING,   /* The listener is unknown: this connection is observed. */
  SOCK_CAPTURE_BLOCKING,   /* A backend with blocking sockets. */
  SOCK_CAPTURE_MISMATCHES, /* The four-tuple matched, but not the sequence number (rule 13). */
  SOCK_CAPTURE_FAILURES,   /* It matched, but could not be inserted. */
  SOCK_STATS
};
