#pragma once

// Whether a newcomer is let in. admit() asks at accept, by the address of the socket. readmit()
// asks again for the same connection once its true source is known, as behind a proxy that tells
// it: lists, bans and the limit per source then hold for that one.

#include <expected>
#include <optional>

#include "net/flow/flow_settings.h"
#include "net/flow/seat.h"

namespace sni {

class Doorman {
 public:
  explicit Doorman(Shared& shared) : shared_(shared) {}

  std::expected<Seat, Refusal> admit(const IpAddress& source, const FlowSettings& settings) const;
  // A proxy whose clients are judged, by readmit(), and not itself.
  std::expected<Seat, Refusal> admit_proxy(const FlowSettings& settings) const;
  std::optional<Refusal> readmit(Seat& seat, const IpAddress& source,
                                 const FlowSettings& settings) const;

 private:
  std::expected<Seat, Refusal> take_seat(const FlowSettings& settings) const;
  std::optional<Refusal> count_source(Seat& seat, const IpAddress& source,
                                      const FlowSettings& settings) const;

  Shared& shared_;
};

}  // namespace sni
