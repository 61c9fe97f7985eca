#include "net/flow/doorman.h"

namespace sni {

std::expected<Seat, Refusal> Doorman::admit(const IpAddress& source,
                                            const FlowSettings& settings) const {
  if (const auto refusal = shared_.admission.refuses(source)) return std::unexpected(*refusal);
  shared_.admission.report(source, Conduct::connected);
  auto seat = take_seat(settings);
  if (!seat) return seat;
  if (const auto refusal = count_source(*seat, source, settings)) return std::unexpected(*refusal);
  return seat;
}

std::expected<Seat, Refusal> Doorman::admit_proxy(const FlowSettings& settings) const {
  return take_seat(settings);
}

std::expected<Seat, Refusal> Doorman::take_seat(const FlowSettings& settings) const {
  return Seat::take(shared_, {.connections = settings.connections_max,
                              .relayed = settings.relayed_max,
                              .hellos = settings.limits.pending_hellos});
}

std::optional<Refusal> Doorman::readmit(Seat& seat, const IpAddress& source,
                                        const FlowSettings& settings) const {
  if (const auto refusal = shared_.admission.refuses(source)) return refusal;
  shared_.admission.report(source, Conduct::connected);
  return count_source(seat, source, settings);
}

std::optional<Refusal> Doorman::count_source(Seat& seat, const IpAddress& source,
                                             const FlowSettings& settings) const {
  const auto refusal = seat.take_source(source, settings.limits.connections_per_source);
  if (refusal) shared_.admission.report(source, Conduct::refused);
  return refusal;
}

}  // namespace sni
