/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once

/* Keys and values of every map of the packet plane, for both compilers: clang builds the BPF side
 * as C, g++ the loader as C++. Edit here only. Fixed-width types, explicit padding, sizes asserted.
 *
 * A flow is two joined TCP connections, the client's and the backend's, both of which end at the
 * proxy. Each has one entry in PACKET_FLOWS, under the key of packets that arrive from its far end.
 * The entry says how to rewrite those packets for the other far end. In the comments S is the end
 * that sends them and R the one that receives them. An entry uses three spaces of sequence numbers:
 *   S's own        seq of the packets that arrive; `acked`, `sent`, `edge` and `fin_end` are in it
 *   the proxy's    as the proxy's socket towards S counts: their ack; `owned_end`, `ack_seen`
 *   R's            seq + seq_delta is what R expects, ack + ack_delta counts R's own bytes */

#include <linux/types.h>

#ifdef __cplusplus
#define SNI_PACKET_SIZE_IS(type, size) static_assert(sizeof(type) == (size))
#else
#define SNI_PACKET_SIZE_IS(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

/* The version of everything in this file. Pinned maps of another version are not taken over. */
enum { PACKET_LAYOUT = 4 };

enum {
  /* The least MTU that is passed on in a packet-too-big, since an end applies it to the proxy's
   * address and so to all clients. These are Linux' own minimum (min_pmtu in net/ipv4/route.c) and
   * that of every IPv6 path (RFC 8200 section 5). */
  PACKET_MTU_MIN_V4 = 552,
  PACKET_MTU_MIN_V6 = 1280,
  /* A record takes 32 bytes and a header of 8: room for 26,000 events. The scan finds the end of a
   * flow whose event was lost. */
  PACKET_RING_BYTES = 1024 * 1024,
  /* The hop limit of the proxy's own sockets (default of net.ipv4.ip_default_ttl). */
  PACKET_HOP_LIMIT = 64,
};

enum packet_family { PACKET_IPV4 = 4, PACKET_IPV6 = 6 };

/* As in an arriving packet. IPv4 addresses are stored v4-mapped, as everywhere here; `family`
 * distinguishes them from v4-mapped addresses in a hostile IPv6 packet. */
struct packet_key {
  __be32 source_be[4];
  __be32 target_be[4];
  __be16 source_port_be;
  __be16 target_port_be;
  __u32 family; /* enum packet_family */
};
SNI_PACKET_SIZE_IS(struct packet_key, 40);

/* What happens to a packet that arrives under a key. */
enum packet_state {
  PACKET_OBSERVED = 0, /* It goes to the local socket; the entry only notes its arrival. */
  PACKET_TRANSITION,   /* Bytes, FIN and RST are forwarded; an ACK below owned_end is local. */
  PACKET_SPLICED,      /* All is forwarded; the local sockets have left or may leave. */
  PACKET_FINISHED,     /* Both ends are done: retransmissions are still forwarded. */
  PACKET_FORGOTTEN,    /* No longer ours, and to be deleted: it goes to the local stack. */
};

enum packet_side { PACKET_CLIENT = 0, PACKET_BACKEND = 1, PACKET_SIDES = 2 };

/* packet_flow.marks */
enum {
  PACKET_FIN_SEEN = 1,     /* fin_end is valid. */
  PACKET_FIN_ACKED = 2,    /* R has acknowledged it. */
  PACKET_RESET = 4,        /* An RST that R believes too (RFC 5961 section 3.2). */
  PACKET_RESET_MAYBE = 8,  /* One inside the window: valid if nothing is sent afterwards. */
  PACKET_SYN_SEEN = 16,    /* Among S's packets since watch(). */
  PACKET_EARLY_FIN = 32,   /* FIN or RST arrived while the entry was only observed. */
  PACKET_ODD_OPTIONS = 64, /* Unknown TCP options (MD5, AO, MPTCP). */
  PACKET_TIMESTAMPS = 128, /* S sends timestamps. */
};

/* One direction of a flow, in PACKET_FLOWS. The control program writes the first part before
 * `state` leaves PACKET_OBSERVED, and `owned_end` also after it. The tc programs write the second
 * part. Two CPUs may see packets of one entry at once, so exact fields change by compare-and-swap.
 * */
struct packet_flow {
  struct packet_key peer; /* R's entry. Reversed, it is the tuple of S's packets when they leave. */
  __u64 flow;             /* Userspace's name of the flow; never 0. */
  __u32 state;            /* enum packet_state */
  __u32 side;             /* enum packet_side: which end S is. */
  __u32 seq_delta;
  __u32 ack_delta;
  __u32 ifindex;   /* Where the packets leave. */
  __u32 owned_end; /* After the last byte that the proxy's socket must deliver to S. */
  __u8 scale_from; /* Window scale of S. */
  __u8 scale_to;   /* Window scale that the proxy announced to R. */
  __u16 ack_room;  /* Bytes after local_seq up to which S gets R's acknowledgements while the
                   * proxy's socket still sends to S: see translated_ack(). */
  __u32 base;      /* seq of the first byte that counts for this entry. */
  __u32 stamp;     /* Timestamp that the proxy's socket towards R would have sent ... */
  __u32 local_seq; /* Transition: after the last byte of S that the proxy's socket has. */
  __u64 stamp_ns;  /* ... at this time of CLOCK_MONOTONIC. */

  __u64 stamp_offset; /* PACKET_KNOWN | offset from S's timestamps to those for R; 0: unknown. */
  __u64 acked;        /* PACKET_EXTENDED + R's acknowledgement, extended to 64 bits. */
  __u32 sent;         /* After the last byte of S that was inside R's window. */
  __u32 edge;         /* Right edge of that window. */
  __u32 ack_seen;     /* The newest ack of S. */
  __u32 fin_end;      /* After the FIN. */
  __u32 marks;
  __u32 seen_ifindex; /* Where the latest packet arrived; 0: none. */
  __u64 packets;      /* Approximate if CPUs compete. */
  __u64 last_ns;      /* Time of the latest one, CLOCK_MONOTONIC, coarse by a few ms; 0: none. */
  __u64 reset_ns;     /* When PACKET_RESET_MAYBE was set. */
};
SNI_PACKET_SIZE_IS(struct packet_flow, 160);

#define PACKET_KNOWN (1ull << 32)
/* `acked` starts at PACKET_EXTENDED + base, so that its low half is a sequence number of S. */
#define PACKET_EXTENDED (1ull << 32)

/* Bytes that S has sent since the hand-over and R has acknowledged, without the FIN. */
static inline __u64 packet_flow_bytes(const struct packet_flow* flow) {
  const __u64 acked = flow->acked;
  const __u64 bytes = acked - PACKET_EXTENDED - flow->base;
  if (acked < PACKET_EXTENDED + flow->base) return 0; /* Not handed over yet. */
  return bytes - ((flow->marks & PACKET_FIN_SEEN) && (__u32)acked == flow->fin_end && bytes > 0);
}

/* The ring buffer PACKET_EVENTS. */
enum packet_event_kind {
  PACKET_EVENT_FIN = 1, /* `side` has sent its last byte. */
  PACKET_EVENT_END,     /* Both FINs are acknowledged. */
  PACKET_EVENT_RESET,   /* `side` has reset the connection. */
  PACKET_EVENT_REUSED,  /* A SYN arrived on a finished key: both entries are forgotten. */
};
struct packet_event {
  __u64 flow;
  __u32 kind;
  __u32 side;
  __u64 bytes[PACKET_SIDES]; /* Sent by each side since the hand-over, acknowledged by the other. */
};
SNI_PACKET_SIZE_IS(struct packet_event, 32);

/* Requests to the SEC("syscall") program packet_control. A map update from userspace would
 * overwrite live numbers, so only this program changes entries once they are in the map. The kernel
 * copies the request back, including `answer`. */
enum packet_control_op {
  PACKET_WATCH = 1, /* Reuses a finished or forgotten entry, observed, for `flow`'s flow. */
  PACKET_PREPARE,   /* Writes the numbers of `flow`: first part, acked, sent, edge, ack_seen. */
  PACKET_SET_STATE, /* `value`; only from `expected`. */
  PACKET_PUBLISH,   /* owned_end := value. */
  PACKET_NOTE_FIN,  /* The proxy's socket got S's FIN: fin_end := value. */
  PACKET_ROUTE,     /* ifindex := value: the route to R has changed. */
  PACKET_FORGET,    /* state := PACKET_FORGOTTEN. */
  PACKET_WIDEN,     /* edge moves forward to `value`, sent and local_seq to flow.sent: S's bytes
                     * came to us. */
};
enum packet_answer { PACKET_DONE = 0, PACKET_NO_ENTRY, PACKET_OTHER_FLOW, PACKET_OTHER_STATE };
struct packet_control {
  struct packet_key key;
  __u32 op;
  __u32 value;
  __u32 expected;
  __u32 answer;
  struct packet_flow flow; /* `flow.flow` must be the entry's. */
};
SNI_PACKET_SIZE_IS(struct packet_control, 216);

/* TRAFFIC_STATS: per-CPU array of counters. Every exit of every program has one. */
enum packet_stat {
  PACKET_FOREIGN,         /* No entry: other traffic of the interface. */
  PACKET_FOREIGN_SHAPE,   /* Not TCP, a fragment, IP options or a VLAN tag: never looked up. */
  PACKET_OBSERVATIONS,    /* Passed to the local socket, noted. */
  PACKET_LOCAL_ACKS,      /* Transition: an ACK of bytes that the proxy still owns. */
  PACKET_FORWARDS,        /* Rewritten and sent on. */
  PACKET_FORWARDED_BYTES, /* TCP payload of those, retransmissions included. */
  PACKET_UNBELIEVED,      /* Forwarded, but outside the window: its numbers do not count. */
  PACKET_RESETS,          /* RST believed. */
  PACKET_RESETS_DOUBTED,  /* RST forwarded and not believed. */
  PACKET_SYNS,            /* SYN on a live key: forwarded. */
  PACKET_KEYS_REUSED,     /* SYN on a finished key: forgotten, and passed on. */
  PACKET_TOO_BIG,         /* ICMP packet-too-big, translated. */
  PACKET_TOO_BIG_DOUBTED, /* One that does not concern bytes in flight. */
  PACKET_DROP_OPTIONS,    /* TCP options truncated or not understood. */
  PACKET_DROP_FAILED,     /* The kernel refused to change the packet (no memory). */
  PACKET_DROP_ORPHAN,     /* The other direction's entry is gone. */
  PACKET_EVENTS_SENT,
  PACKET_EVENTS_LOST, /* Ring buffer full: the scan finds the end. */
  PACKET_DAMAGED,     /* Wrong checksum where it mattered: forwarded, but not believed. */
  PACKET_STATS
};

/* Why a connection is not handed over, for counters and messages; used only in userspace. */
enum packet_decline {
  PACKET_TAKEN = 0,
  PACKET_DECLINE_OFF,         /* The plane is not available or not wanted. */
  PACKET_DECLINE_NOT_TCP,     /* UNIX backend. */
  PACKET_DECLINE_SOURCE,      /* The route sets its source: address, port, interface or mark. */
  PACKET_DECLINE_FULL,        /* The table of flows is full. */
  PACKET_DECLINE_PORT,        /* Its local port cannot be held (descriptors). */
  PACKET_DECLINE_ROUTE,       /* No route, or no hooked interface on it. */
  PACKET_DECLINE_DEVICE,      /* An interface of a kind that the self-test does not know. */
  PACKET_DECLINE_UNSEEN,      /* Packets do not arrive under the expected keys (NAT). */
  PACKET_DECLINE_OPTIONS,     /* Timestamps, SACK or window scaling on one side only. */
  PACKET_DECLINE_ECN,         /* ECN on one side only. */
  PACKET_DECLINE_ODD_OPTIONS, /* Unknown TCP options. */
  PACKET_DECLINE_MSS,         /* One end may send what the other's path cannot carry. */
  PACKET_DECLINE_FAR,         /* The client is far from a near backend. */
  PACKET_DECLINE_PROMISE,     /* The offered windows never fitted. */
  PACKET_DECLINE_BUSY,        /* Bytes stayed unacknowledged for too long. */
  PACKET_DECLINE_CLOSING,     /* FIN, RST or an error has been seen. */
  PACKET_DECLINE_REFUSED,     /* The kernel refused TCP_REPAIR or a control call. */
  PACKET_DECLINES
};
