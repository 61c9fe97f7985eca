// Checks of living flows: what the programs cannot see or whose event was lost. Every flow is looked
// at about once in look_round_ms, a new one after a second, and each second while it owes an answer
// to a keepalive probe.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bpf/packet/monotonic.h"
#include "net/planes/plane_packet.h"

namespace sni {
namespace {

constexpr std::uint64_t look_round_ms = 15'000;
// Flows that are looked at in one tick after a route has changed: about 10 ms of the worker's time.
constexpr std::size_t followed_max = 500;
// After an RST that its receiver may have accepted, the flow ends if nothing is sent for this long.
constexpr std::uint64_t reset_settled_ns = 10'000'000'000;

// The RST of which the event was lost, or one that nothing has followed.
std::optional<EndReason> reset_seen(const packet_flow& flow, const packet_flow& other,
                                    std::uint64_t now_ns) {
  const bool maybe = (flow.marks & PACKET_RESET_MAYBE) != 0 && other.last_ns <= flow.reset_ns &&
                     now_ns > flow.reset_ns + reset_settled_ns;
  if ((flow.marks & PACKET_RESET) == 0 && !maybe) return std::nullopt;
  return reset_by(flow.side);
}

}  // namespace

SeenEnd seen_end(const packet_flow& flow) {
  return {
      .last_ns = flow.last_ns,
      .acked = flow.acked,
      .unacked = static_cast<std::int32_t>(flow.sent - static_cast<std::uint32_t>(flow.acked)) > 0,
      .fin = (flow.marks & PACKET_FIN_SEEN) != 0};
}

void PlanePacket::look_at_some(const Rules& rules, std::uint64_t now_ms,
                               std::vector<Ended>& ended) {
  for (const std::uint64_t name : std::exchange(soon_, {})) look_at(name, rules, now_ms, ended);
  const std::uint64_t version = service_.routes_version();
  if (std::exchange(routes_followed_, version) != version) to_follow_ = order_.size();
  const std::size_t of_round = order_.size() / (look_round_ms / look_tick_ms) + 1;
  const std::size_t some = std::max(of_round, std::min(to_follow_, followed_max));
  to_follow_ -= std::min(to_follow_, some);
  for (std::size_t i = 0; i < some && !order_.empty();) {
    const std::uint64_t name = order_.front();
    order_.pop_front();
    if (look_at(name, rules, now_ms, ended)) ++i;
  }
}

bool PlanePacket::look_at(std::uint64_t name, const Rules& rules, std::uint64_t now_ms,
                          std::vector<Ended>& ended) {
  const auto found = flows_.find(name);
  if (found == flows_.end()) return false;
  Spliced& flow = found->second;
  const auto client = service_.splice().read(flow.keys.client);
  const auto backend = service_.splice().read(flow.keys.backend);
  FlowEnd last{.to_backend = flow.relayed[0], .to_client = flow.relayed[1]};
  if (!client || !backend || client->flow != name || backend->flow != name) {
    last.reason = EndReason::internal;
    end(name, last, false, now_ms, ended);
    return true;
  }
  last.to_backend += packet_flow_bytes(&*client);
  last.to_client += packet_flow_bytes(&*backend);
  if (const auto why = verdict_on(flow, rules, *client, *backend)) {
    last.reason = *why;
    const bool over = client->state == PACKET_FINISHED && backend->state == PACKET_FINISHED;
    end(name, last, !over, now_ms, ended);
    return true;
  }
  follow_route(name, flow, now_ms);
  if (flow.watch.probing()) {
    soon_.push_back(name);
  } else {
    order_.push_back(name);
  }
  return true;
}

std::optional<EndReason> PlanePacket::verdict_on(Spliced& flow, const Rules& rules,
                                                 const packet_flow& client,
                                                 const packet_flow& backend) {
  const std::uint64_t now = monotonic_ns();
  if (const auto reset = reset_seen(client, backend, now)) return reset;
  if (const auto reset = reset_seen(backend, client, now)) return reset;
  if (client.state == PACKET_FINISHED && backend.state == PACKET_FINISHED) return EndReason::done;
  const FlowRecord& record = flow.flow->record;
  if (!record.is_of_proxy() && rules.admission.refuses(record.client.ip)) return EndReason::cut;
  const auto found = flow.watch.look({seen_end(client), seen_end(backend)}, rules.tcp, now);
  if (found.end) return found.end;
  const std::array<const packet_flow*, 2> entries{&client, &backend};
  const std::array<const packet_key*, 2> keys{&flow.keys.client, &flow.keys.backend};
  for (const std::size_t side : {0UZ, 1UZ}) {
    if (!found.probe[side]) continue;
    const packet_flow& end = *entries[side];
    const auto sent = service_.splice().sender().probe(
        *keys[side], probe_numbers(end, *entries[1 - side], now), end.seen_ifindex);
    if (!sent) spdlog::debug("packet: a keepalive probe: {}", sent.error().what);
  }
  return std::nullopt;
}

void PlanePacket::follow_route(std::uint64_t name, Spliced& flow, std::uint64_t now_ms) {
  const std::uint64_t version = service_.routes_version();
  if (std::exchange(flow.routes_version, version) == version) return;
  const std::array<const packet_key*, 2> arriving{&flow.keys.client, &flow.keys.backend};
  for (const std::size_t side : {0UZ, 1UZ}) {
    const auto way =
        route(packet_target(*arriving[side]).ip, packet_source(*arriving[side]), now_ms);
    if (!way || way->interface == flow.ifindex[side]) continue;
    if (service_.hook(*way) != PACKET_TAKEN) continue;
    // The other end's packets leave there.
    if (service_.splice().route(*arriving[1 - side], name, way->interface)) {
      flow.ifindex[side] = way->interface;
    }
  }
}

}  // namespace sni
