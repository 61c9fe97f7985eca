#pragma once

// When two TCP connections that end at the proxy can be joined to one, and by which numbers. Pure:
// what the sockets say comes in, a verdict or the numbers go out. bpf/packet/handover.h acts on it.

#include <cstdint>

namespace sni {

// What must hold for as long as the connections live, since their ends have negotiated it.
struct TcpTerms {
  bool established = false;
  bool timestamps = false;
  bool sack = false;
  bool window_scaling = false;
  bool ecn = false;
  std::uint32_t advertised_mss = 0;  // What we told the end: the most that it sends at once.
  std::uint32_t sending_mss = 0;     // What we may send to it, room for timestamps taken off.
};

// The proxy's socket towards one end, at one moment. All sequence numbers wrap.
struct TcpPosition {
  std::uint32_t write_seq = 0;      // Behind the last byte that we wrote.
  std::uint32_t acked_seq = 0;      // Behind the last one that the end has acknowledged.
  std::uint32_t received_seq = 0;   // Behind the last byte that we have of the end, in order.
  std::uint32_t read_seq = 0;       // Behind the last one of those that was read.
  std::uint32_t peer_window = 0;    // Bytes behind acked_seq that the end has room for.
  std::uint32_t promised_edge = 0;  // Where what we promised to take of the end stops.
};

enum class PairFit : std::uint8_t {
  fits,
  closing,  // One end is not established any more.
  options,  // Timestamps, SACK or window scaling on one side only: they cannot be translated.
  ecn,      // Congestion marks would go to an end that does not echo them.
  mss,      // One end may send segments that the other's path cannot carry.
  busy,     // Bytes that we wrote are not acknowledged yet.
  promise,  // One end was promised more window than the other gives.
};

// Terms alone: fits, closing, options, ecn or mss. They do not get better by waiting.
PairFit compare_terms(const TcpTerms& client, const TcpTerms& backend);

// Positions alone: fits, busy or promise. Waiting, with nothing read or written, can help.
PairFit compare_positions(const TcpPosition& client, const TcpPosition& backend);

// How packets that `from` sends become the proxy's for `to`: what is added to seq and to ack.
struct Deltas {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
};
Deltas deltas(const TcpPosition& from, const TcpPosition& to);

// Right edge, in `from`'s numbers, of what it may send: as we promised, or as `to` allows.
std::uint32_t send_edge(const TcpPosition& from, const TcpPosition& to);

}  // namespace sni
