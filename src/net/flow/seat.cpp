#include "net/flow/seat.h"

namespace sni {

namespace {

// Increments both counts, or neither.
bool count(Shared& shared, const SeatBounds& bounds) {
  const std::uint64_t held =
      shared.fast_path.packet == nullptr
          ? 0
          : shared.fast_path.packet->held_ports().load(std::memory_order_relaxed);
  if (shared.connections.fetch_add(1, std::memory_order_relaxed) < bounds.connections) {
    const std::uint64_t relayed = shared.relayed.fetch_add(1, std::memory_order_relaxed);
    if (2 * relayed + held < 2 * std::uint64_t{bounds.relayed}) return true;
    shared.relayed.fetch_sub(1, std::memory_order_relaxed);
  }
  shared.connections.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

}  // namespace

std::expected<Seat, Refusal> Seat::take(Shared& shared, const SeatBounds& bounds) {
  if (shared.pending_hellos.load(std::memory_order_relaxed) >= bounds.hellos) {
    return std::unexpected(Refusal::pending_hellos);
  }
  if (!count(shared, bounds)) return std::unexpected(Refusal::connections);
  shared.pending_hellos.fetch_add(1, std::memory_order_relaxed);
  Seat seat;
  seat.shared_ = &shared;
  seat.in_hello_ = true;
  seat.has_sockets_ = true;
  return seat;
}

Seat Seat::adopt(Shared& shared) {
  shared.connections.fetch_add(1, std::memory_order_relaxed);
  Seat seat;
  seat.shared_ = &shared;
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

void Seat::leave_sockets() {
  if (!std::exchange(has_sockets_, false)) return;
  shared_->relayed.fetch_sub(1, std::memory_order_relaxed);
}

void Seat::leave_source() {
  if (source_) shared_->sources.release(*source_);
  source_.reset();
}

Seat::~Seat() {
  if (shared_ == nullptr) return;
  leave_hello();
  leave_sockets();
  leave_source();
  shared_->connections.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace sni
