#include "core/packet/handover_rules.h"

#include <algorithm>

namespace sni {
namespace {

// The option's 12 bytes (RFC 7323 appendix A) are taken off sending_mss and not off advertised_mss.
constexpr std::uint32_t timestamp_bytes = 12;

// Below this a BBR sender lost at most a tenth of a second over 8 MiB (docs/measured.md).
constexpr std::chrono::milliseconds far_from{10};

bool is_behind(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) > 0;
}

// The largest segment that we may send to the end.
std::uint32_t room_of(const TcpTerms& end) {
  return end.sending_mss + (end.timestamps ? timestamp_bytes : 0);
}

// An end sends segments no larger than those that it takes: both come from its interface's MTU.
bool carries(const TcpTerms& sender, const TcpTerms& receiver) {
  return std::min(sender.advertised_mss, room_of(sender)) <= room_of(receiver);
}

std::uint32_t allowed_edge(const TcpPosition& to) {
  return to.acked_seq + to.peer_window;
}

}  // namespace

PairFit compare_terms(const TcpTerms& client, const TcpTerms& backend) {
  if (!client.established || !backend.established) return PairFit::closing;
  if (client.timestamps != backend.timestamps || client.sack != backend.sack ||
      client.window_scaling != backend.window_scaling)
    return PairFit::options;
  // The programs continue the timestamps of the proxy's sockets in milliseconds.
  if (client.microseconds || backend.microseconds) return PairFit::options;
  if (client.ecn != backend.ecn) return PairFit::ecn;
  if (!carries(client, backend) || !carries(backend, client)) return PairFit::mss;
  return PairFit::fits;
}

bool is_far(std::chrono::microseconds client, std::chrono::microseconds backend) {
  return client >= far_from && client > backend;
}

std::chrono::microseconds time_to_drain(const TcpFlight& flight,
                                        std::chrono::microseconds round_trip) {
  if (flight.unsent == 0) return flight.waits ? round_trip : std::chrono::microseconds(0);
  const auto in_a_trip = std::min<std::uint64_t>(flight.congestion_window, flight.window);
  if (in_a_trip == 0) return std::chrono::microseconds::max();
  return round_trip + round_trip * flight.unsent / in_a_trip;
}

Deltas deltas(const TcpPosition& from, const TcpPosition& to) {
  // Byte `read_seq` of `from` is the next that we would write to `to`, and the ack of `from` at our
  // `write_seq` corresponds to what we have read from `to`.
  return {.seq = to.write_seq - from.read_seq, .ack = to.read_seq - from.write_seq};
}

std::uint32_t send_edge(const TcpPosition& from, const TcpPosition& to) {
  const std::uint32_t allowed = allowed_edge(to) - deltas(from, to).seq;
  return is_behind(from.promised_edge, allowed) ? from.promised_edge : allowed;
}

PairFit compare_positions(const TcpPosition& client, const TcpPosition& backend) {
  if (client.acked_seq != client.write_seq || backend.acked_seq != backend.write_seq)
    return PairFit::busy;
  const auto keeps = [](const TcpPosition& from, const TcpPosition& to) {
    return !is_behind(from.promised_edge + deltas(from, to).seq, allowed_edge(to));
  };
  if (!keeps(client, backend) || !keeps(backend, client)) return PairFit::promise;
  return PairFit::fits;
}

}  // namespace sni
