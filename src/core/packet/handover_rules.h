#pragma once

// When two TCP connections that end at the proxy can be joined into one, and by which numbers.
// Pure: the state of the sockets comes in, a verdict or the numbers go out. bpf/packet/handover.h
// acts on it.

#include <chrono>
#include <cstdint>

namespace sni {

// Terms that the ends have negotiated, fixed for the life of the connections.
struct TcpTerms {
  bool established = false;
  bool timestamps = false;
  bool microseconds = false;  // The unit of the timestamps, instead of the millisecond.
  bool sack = false;
  bool window_scaling = false;
  bool ecn = false;
  std::uint32_t advertised_mss = 0;  // What we told the end: the largest segment that we take.
  std::uint32_t sending_mss = 0;     // What we may send to it, less the room for timestamps.
};

// The proxy's socket towards one end, at one moment. All sequence numbers wrap.
struct TcpPosition {
  std::uint32_t write_seq = 0;      // After the last byte that we wrote.
  std::uint32_t acked_seq = 0;      // After the last byte that the end acknowledged.
  std::uint32_t received_seq = 0;   // After the last in-order byte from the end.
  std::uint32_t read_seq = 0;       // After the last of those that was read.
  std::uint32_t peer_window = 0;    // Bytes after acked_seq that the end has room for.
  std::uint32_t promised_edge = 0;  // The right edge of the window that we promised the end.
};

enum class PairFit : std::uint8_t {
  fits,
  closing,  // One end is no longer established.
  options,  // Timestamps, SACK or window scaling on one side only: they cannot be translated.
  ecn,      // Congestion marks would go to an end that does not echo them.
  mss,      // One end may send segments that the other's path cannot carry.
  busy,     // Bytes that we wrote are not acknowledged.
  promise,  // One end was promised more window than the other gives.
};

// Compares terms alone: fits, closing, options, ecn or mss. Waiting does not change them.
PairFit compare_terms(const TcpTerms& client, const TcpTerms& backend);

// Whether the client is far from a near backend, by the least round trips of the proxy's sockets. The
// backend's congestion control then starts with what it learnt on a short way. For BBR that is a
// wrong least round trip for up to 10 s, and a window of two times that (bbr_min_rtt_win_sec and
// bbr_bdp() in net/ipv4/tcp_bbr.c).
bool is_far(std::chrono::microseconds client, std::chrono::microseconds backend);

// What is on the way to an end.
struct TcpFlight {
  bool waits = false;                   // For acknowledgements.
  std::uint32_t unsent = 0;             // Bytes that the socket holds back.
  std::uint64_t congestion_window = 0;  // Bytes.
  std::uint32_t window = 0;             // Bytes that the end offered.
};

// How long the end takes to acknowledge all of it; max(): its window is closed.
std::chrono::microseconds time_to_drain(const TcpFlight& flight,
                                        std::chrono::microseconds round_trip);

// Compares positions alone: fits, busy or promise. Waiting without reading or writing can help.
PairFit compare_positions(const TcpPosition& client, const TcpPosition& backend);

// How packets from `from` are translated for `to`: what is added to seq and to ack.
struct Deltas {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
};
Deltas deltas(const TcpPosition& from, const TcpPosition& to);

// The right edge of what `from` may send, in its own numbers: as we promised, or as `to` allows.
std::uint32_t send_edge(const TcpPosition& from, const TcpPosition& to);

}  // namespace sni
