// Flows of the packet plane after their hand-over, until their end.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "bpf/packet/monotonic.h"
#include "net/planes/plane_packet.h"
#include "net/planes/saved_record.h"

namespace sni {
namespace {

// The duration of TIME_WAIT (TCP_TIMEWAIT_LEN).
constexpr std::uint64_t linger_ms = 60'000;

}  // namespace

void PlanePacket::work(const Rules& rules, std::uint64_t now_ms, std::vector<Ended>& ended) {
  for (const packet_event& event : service_.inbox(worker_).take()) on_event(event, now_ms, ended);
  if (now_ms - looked_ms_ < look_tick_ms) return;
  looked_ms_ = now_ms;
  end_lingering(now_ms);
  look_at_some(rules, now_ms, ended);
  service_.inbox(worker_).want_ticks(!flows_.empty() ||
                                     // Holders of lingering and resting tuples.
                                     ports_.holders() > 0);
}

void PlanePacket::on_event(const packet_event& event, std::uint64_t now_ms,
                           std::vector<Ended>& ended) {
  const auto found = flows_.find(event.flow);
  if (found == flows_.end() || event.kind == PACKET_EVENT_FIN) return;
  const Spliced& flow = found->second;
  const EndReason reason =
      event.kind == PACKET_EVENT_RESET ? reset_by(event.side) : EndReason::done;
  end(event.flow,
      {.reason = reason,
       .to_backend = flow.relayed[0] + event.bytes[PACKET_CLIENT],
       .to_client = flow.relayed[1] + event.bytes[PACKET_BACKEND]},
      false, now_ms, ended);
}

// The next process resets a flow that cannot be saved, as if it had not been handed over.
void PlanePacket::save(std::uint64_t name, const Spliced& flow) {
  if (service_.saved() == nullptr) return;
  SavedFlow saved = saved_flow(flow.flow->record, run_);
  saved.client_key = flow.keys.client;
  saved.backend_key = flow.keys.backend;
  saved.idle_ms = static_cast<std::uint32_t>(flow.watch.timeouts().idle.count());
  saved.half_closed_ms = static_cast<std::uint32_t>(flow.watch.timeouts().half_closed.count());
  saved.relayed = flow.relayed;
  if (const auto done = service_.saved()->save(name, saved); !done) {
    spdlog::warn("packet: {}", done.error().what);
  }
}

// The first check finds what happened meanwhile, and also looks up its routes again.
void PlanePacket::restore(const LeftFlow& left, Flow& flow) {
  const SavedFlow& saved = left.saved;
  const PacketPair keys{.client = saved.client_key, .backend = saved.backend_key};
  const Endpoint target = packet_source(keys.backend);
  const std::uint16_t port = local_port(keys);
  if (!ports_.hold(target, port)) {
    spdlog::warn(
        "packet: port {} of a connection to {} could not be kept: another program may use it", port,
        target.to_string());
  }
  count_ports();
  keep(left.name,
       {.flow = &flow,
        .keys = keys,
        .watch = FlowWatch({.idle = std::chrono::milliseconds(saved.idle_ms),
                            .half_closed = std::chrono::milliseconds(saved.half_closed_ms)}),
        .relayed = saved.relayed});
  order_.push_back(left.name);
}

PlanePacket::Spliced& PlanePacket::keep(std::uint64_t name, Spliced spliced) {
  Flow& flow = *spliced.flow;
  flow.record.plane = PlaneId::packet;
  flow.splice = name;
  service_.inbox(worker_).want_ticks(true);
  return flows_.try_emplace(name, spliced).first->second;
}

void PlanePacket::end(std::uint64_t name, const FlowEnd& end, bool kill, std::uint64_t now_ms,
                      std::vector<Ended>& ended) {
  const auto node = flows_.extract(name);
  const Spliced& flow = node.mapped();
  if (service_.saved() != nullptr) service_.saved()->remove(name);
  if (kill) {
    if (const auto killed = service_.splice().kill(flow.keys, name); !killed) {
      spdlog::warn("packet: {}", killed.error().what);
    }
  }
  if (Conntrack* const tracking = conntrack()) {
    for (const packet_key* key : {&flow.keys.client, &flow.keys.backend}) {
      tracking->remove(packet_source(*key), packet_target(*key));
    }
  }
  lingering_.push_back({.name = name, .keys = flow.keys, .until_ms = now_ms + linger_ms});
  ended.push_back({.flow = flow.flow, .end = end});
}

void PlanePacket::end_lingering(std::uint64_t now_ms) {
  ports_.expire(now_ms);
  count_ports();
  while (!lingering_.empty() && lingering_.front().until_ms <= now_ms) {
    const Lingering& each = lingering_.front();
    service_.splice().forget(each.keys, each.name);
    release_port(packet_source(each.keys.backend), local_port(each.keys), false, now_ms);
    lingering_.pop_front();
  }
}

std::optional<FlowProgress> PlanePacket::progress(std::uint64_t name) const {
  const auto found = flows_.find(name);
  if (found == flows_.end()) return std::nullopt;
  const Spliced& flow = found->second;
  FlowProgress progress{.phase = Phase::relaying,
                        .plane = PlaneId::packet,
                        .to_backend = flow.relayed[0],
                        .to_client = flow.relayed[1]};
  SeenEnds ends{};
  const std::array<const packet_key*, 2> keys{&flow.keys.client, &flow.keys.backend};
  const std::array<std::uint64_t*, 2> bytes{&progress.to_backend, &progress.to_client};
  for (const std::size_t side : {0UZ, 1UZ}) {
    const auto entry = service_.splice().read(*keys[side]);
    if (!entry || entry->flow != name) continue;
    *bytes[side] += packet_flow_bytes(&*entry);
    ends[side] = seen_end(*entry);
  }
  const std::uint64_t now = monotonic_ns();
  const std::uint64_t active = flow.watch.active_ns(ends);
  if (active != 0 && active < now) progress.idle_ms = (now - active) / 1'000'000;
  return progress;
}

void PlanePacket::kill(std::uint64_t name, EndReason reason, std::uint64_t now_ms,
                       std::vector<Ended>& ended) {
  const auto last = progress(name);
  if (!last) return;
  end(name, {.reason = reason, .to_backend = last->to_backend, .to_client = last->to_client}, true,
      now_ms, ended);
}

void PlanePacket::kill_all(EndReason reason, std::vector<Ended>& ended) {
  while (!flows_.empty()) kill(flows_.begin()->first, reason, 0, ended);
}

}  // namespace sni
