#pragma once

// Whether a new connection is admitted. admit() decides at accept, by the address of the socket.
// readmit() decides again once the true source is known, as behind a proxy that announces it:
// lists, bans and the limit per source then apply to that address.

#include <expected>
#include <optional>

#include "net/flow/flow_settings.h"
#include "net/flow/seat.h"

namespace sni {

class Doorman {
 public:
  explicit Doorman(Shared& shared) : shared_(shared) {}

  std::expected<Seat, Refusal> admit(const IpAddress& source, const FlowSettings& settings) const;
  // For a trusted proxy: readmit() later judges its clients, and the proxy itself is not judged.
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
