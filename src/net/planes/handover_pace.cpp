#include "net/planes/handover_pace.h"

#include <algorithm>

#include "core/packet/handover_rules.h"

namespace sni {
namespace {

// Before the second try. It doubles with each.
constexpr std::chrono::milliseconds first_pause{20};
constexpr std::chrono::milliseconds first_long_pause{500};
constexpr std::uint32_t long_doublings = 6;
// Bytes that an end sends during a try wait as long as the try.
constexpr std::chrono::milliseconds patience_min{20};
constexpr std::chrono::milliseconds patience_max{1'000};
// An acknowledgement takes one round trip, and the relay came to rest with bytes on the way.
constexpr std::uint32_t patience_trips = 2;
constexpr std::uint32_t patience_doublings = 2;

}  // namespace

packet_decline HandoverPace::foresee(const TcpFacts& client, const TcpFacts& backend) {
  round_trip_ =
      std::chrono::ceil<std::chrono::milliseconds>(std::max(client.round_trip, backend.round_trip));
  if (client.offered_window > backend.flight.window ||
      backend.offered_window > client.flight.window)
    return PACKET_DECLINE_PROMISE;
  const auto drained = std::max(time_to_drain(client.flight, client.round_trip),
                                time_to_drain(backend.flight, backend.round_trip));
  return drained > patience() ? PACKET_DECLINE_BUSY : PACKET_TAKEN;
}

// The longer, the more often the ends were found quiet. Many connections in bulk on a busy host need
// more than the first.
std::chrono::milliseconds HandoverPace::patience() const {
  return std::min(patience_max, std::max(patience_min, patience_trips * round_trip_) *
                                    (1U << std::min(tries_, patience_doublings)));
}

// An offered window shrinks as bytes use it up, which takes a round trip.
std::chrono::milliseconds HandoverPace::fail(std::uint64_t now_ms) {
  if (++tries_ >= tries_max) return pause(now_ms);
  return wait(now_ms,
              std::max(first_pause * (1U << (tries_ - 1)), std::min(patience_max, round_trip_)));
}

void HandoverPace::try_again(std::uint64_t now_ms) {
  tries_ = tries_max - 1;
  wait(now_ms, std::min(patience_max, round_trip_));
}

std::chrono::milliseconds HandoverPace::pause(std::uint64_t now_ms) {
  return wait(now_ms, first_long_pause * (1U << std::min(pauses_++, long_doublings)));
}

std::chrono::milliseconds HandoverPace::wait(std::uint64_t now_ms,
                                             std::chrono::milliseconds pause) {
  due_ms_ = now_ms + static_cast<std::uint64_t>(pause.count());
  return pause;
}

}  // namespace sni
