#include "net/flow/seat.h"

namespace sni {

std::expected<Seat, Refusal> Seat::take(Shared& shared, std::uint32_t connections_max,
                                        std::uint32_t hellos_max) {
  if (shared.pending_hellos.load(std::memory_order_relaxed) >= hellos_max) {
    return std::unexpected(Refusal::pending_hellos);
  }
  if (shared.connections.fetch_add(1, std::memory_order_relaxed) >= connections_max) {
    shared.connections.fetch_sub(1, std::memory_order_relaxed);
    return std::unexpected(Refusal::connections);
  }
  shared.pending_hellos.fetch_add(1, std::memory_order_relaxed);
  Seat seat;
  seat.shared_ = &shared;
  seat.in_hello_ = true;
  return seat;
}

std::optional<Refusal> Seat::take_source(const IpAddress& source, std::uint32_t sources_max) {
  leave_source();
  if (sources_max == 0) return std::nullopt;
  if (!shared_->sources.acquire(source, sources_max)) return Refusal::connections_per_source;
  source_ = source;
  return std::nullopt;
}

void Seat::leave_hello() {
  if (!std::exchange(in_hello_, false)) return;
  shared_->pending_hellos.fetch_sub(1, std::memory_order_relaxed);
}

void Seat::leave_source() {
  if (source_) shared_->sources.release(*source_);
  source_.reset();
}

Seat::~Seat() {
  if (shared_ == nullptr) return;
  leave_hello();
  leave_source();
  shared_->connections.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace sni
