#include "net/planes/planes.h"

namespace sni {

Planes::Planes(const FastPath& path, const FastPathConfig& config, Counters& counters,
               unsigned worker, std::uint64_t run) {
  if (path.local || path.remote) {
    sockhash_ = std::make_unique<PlaneSockhash>(path, config, counters, worker);
  }
  if (path.packet != nullptr) {
    packet_ = std::make_unique<PlanePacket>(*path.packet, config, counters.packet,
                                            path.packet_share, worker, run);
  }
}

void Planes::announce(PlanePair& pair, int client, int backend, const Endpoint& target, Open open,
                      std::uint64_t now_ms) {
  if (open.packet != PACKET_TAKEN) {
    decline(open.packet, target);
  } else if (packet_ != nullptr) {
    pair.packet = packet_->announce(client, backend, target, now_ms);
    pair.packet_open = pair.packet != no_ticket;
  }
  if (sockhash_ != nullptr && open.sockhash) pair.sockhash = sockhash_->announce(client, backend);
}

bool Planes::offer(PlanePair& pair, const PlaneView& view) {
  if (pair.sockhash != no_ticket && !pair.gated) {
    settle(pair, sockhash_->offer(pair.sockhash, view));
  }
  return pair.gated;
}

bool Planes::moved(PlanePair& pair) {
  return pair.sockhash != no_ticket && sockhash_->moved(pair.sockhash);
}

void Planes::leave(PlanePair& pair, bool connected, std::uint64_t now_ms) {
  pair.packet_open = false;
  if (pair.packet != no_ticket) {
    packet_->leave(std::exchange(pair.packet, no_ticket), connected, now_ms);
  }
  if (pair.sockhash != no_ticket) sockhash_->leave(std::exchange(pair.sockhash, no_ticket));
}

bool Planes::splice_sees_all(const PlanePair& pair) const {
  return pair.sockhash == no_ticket || sockhash_->is_local(pair.sockhash);
}

std::optional<std::uint64_t> Planes::sent_to_client(const PlanePair& pair, int client) {
  if (pair.carrier != PlaneId::sockhash) return std::nullopt;
  return PlaneSockhash::sent_to_client(client);
}

void Planes::settle(PlanePair& pair, PlaneAnswer answer) {
  switch (answer) {
    case PlaneAnswer::undecided:
    case PlaneAnswer::wanted:
      return;
    case PlaneAnswer::declined:
      pair.sockhash = no_ticket;
      return;
    case PlaneAnswer::gated:
      pair.gated = true;
      [[fallthrough]];
    case PlaneAnswer::kept:
      pair.carrier = PlaneId::sockhash;
      return;
  }
}

}  // namespace sni
