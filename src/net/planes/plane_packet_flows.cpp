// Flows of the packet plane after their hand-over, until their end.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "bpf/packet/monotonic.h"
#include "net/planes/plane_packet.h"
#include "net/planes/saved_record.h"

namespace sni {
namespace {

// Each live flow is checked about once in this time, some of them each second.
constexpr std::uint64_t look_round_ms = 15'000;
constexpr std::uint64_t look_tick_ms = 1'000;
// The duration of TIME_WAIT (TCP_TIMEWAIT_LEN).
constexpr std::uint64_t linger_ms = 60'000;
// After an RST that its receiver may have accepted, the flow ends if nothing is sent for this long.
constexpr std::uint64_t reset_settled_ns = 10'000'000'000;

EndReason reset_by(std::uint32_t side) {
  return side == PACKET_CLIENT ? EndReason::client_reset : EndReason::backend_reset;
}

}  // namespace

void PlanePacket::work(const Admission& admission, std::uint64_t now_ms,
                       std::vector<Ended>& ended) {
  for (const packet_event& event : service_.inbox(worker_).take()) on_event(event, now_ms, ended);
  if (now_ms - looked_ms_ < look_tick_ms) return;
  looked_ms_ = now_ms;
  end_lingering(now_ms);
  look_at_some(admission, now_ms, ended);
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
  saved.idle_ns = flow.idle_ns;
  saved.relayed = flow.relayed;
  if (const auto done = service_.saved()->save(name, saved); !done) {
    spdlog::warn("packet: {}", done.error().what);
  }
}

// The first check finds what happened meanwhile, and also looks up its routes again.
void PlanePacket::restore(const LeftFlow& left, Flow& flow) {
  const SavedFlow& saved = left.saved;
  const Endpoint target = packet_source(saved.backend_key);
  const std::uint16_t port = packet_target(saved.backend_key).port;
  if (!ports_.hold(target, port)) {
    spdlog::warn(
        "packet: port {} of a connection to {} could not be kept: another program may use it", port,
        target.to_string());
  }
  count_ports();
  keep(left.name, {.flow = &flow,
                   .keys = {.client = saved.client_key, .backend = saved.backend_key},
                   .target = target,
                   .port = port,
                   .idle_ns = saved.idle_ns,
                   .relayed = saved.relayed});
}

PlanePacket::Spliced& PlanePacket::keep(std::uint64_t name, Spliced spliced) {
  Flow& flow = *spliced.flow;
  if (!flow.record.is_of_proxy()) spliced.source = flow.record.client.ip;
  flow.record.plane = PlaneId::packet;
  flow.splice = name;
  order_.push_back(name);
  service_.inbox(worker_).want_ticks(true);
  return flows_.try_emplace(name, spliced).first->second;
}

void PlanePacket::look_at_some(const Admission& admission, std::uint64_t now_ms,
                               std::vector<Ended>& ended) {
  const std::size_t some = order_.size() / (look_round_ms / look_tick_ms) + 1;
  for (std::size_t i = 0; i < some && !order_.empty(); ++i) {
    const std::uint64_t name = order_.front();
    order_.pop_front();
    const auto found = flows_.find(name);
    if (found == flows_.end()) {
      --i;  // It has ended, and does not count for this round.
      continue;
    }
    Spliced& flow = found->second;
    const auto client = service_.splice().read(flow.keys.client);
    const auto backend = service_.splice().read(flow.keys.backend);
    FlowEnd last{.to_backend = flow.relayed[0], .to_client = flow.relayed[1]};
    if (!client || !backend || client->flow != name || backend->flow != name) {
      last.reason = EndReason::internal;
      end(name, last, false, now_ms, ended);
      continue;
    }
    last.to_backend += PacketEntry{.key = flow.keys.client, .flow = *client}.bytes();
    last.to_client += PacketEntry{.key = flow.keys.backend, .flow = *backend}.bytes();
    if (const auto why = verdict_on(flow, admission, *client, *backend)) {
      last.reason = *why;
      const bool over = client->state == PACKET_FINISHED && backend->state == PACKET_FINISHED;
      end(name, last, !over, now_ms, ended);
      continue;
    }
    follow_route(name, flow, now_ms);
    order_.push_back(name);
  }
}

std::optional<EndReason> PlanePacket::verdict_on(const Spliced& flow, const Admission& admission,
                                                 const packet_flow& client,
                                                 const packet_flow& backend) const {
  // The event of its end was lost.
  for (const packet_flow* each : {&client, &backend}) {
    if ((each->marks & PACKET_RESET) != 0) return reset_by(each->side);
  }
  if (client.state == PACKET_FINISHED && backend.state == PACKET_FINISHED) return EndReason::done;
  const std::uint64_t now = monotonic_ns();
  const std::uint64_t last = std::max(client.last_ns, backend.last_ns);
  for (const packet_flow* each : {&client, &backend}) {
    const packet_flow& other = each == &client ? backend : client;
    if ((each->marks & PACKET_RESET_MAYBE) != 0 && other.last_ns <= each->reset_ns &&
        now > each->reset_ns + reset_settled_ns) {
      return reset_by(each->side);
    }
  }
  if (now > last + flow.idle_ns) return EndReason::idle_timeout;
  if (flow.source && admission.refuses(*flow.source)) return EndReason::cut;
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
  if (!conntrack_) conntrack_ = Conntrack::open();
  if (conntrack_) {
    for (const packet_key* key : {&flow.keys.client, &flow.keys.backend}) {
      conntrack_->remove(packet_source(*key), packet_target(*key));
    }
  }
  lingering_.push_back({.name = name,
                        .keys = flow.keys,
                        .target = flow.target,
                        .port = flow.port,
                        .until_ms = now_ms + linger_ms});
  ended.push_back({.flow = flow.flow, .end = end});
}

void PlanePacket::end_lingering(std::uint64_t now_ms) {
  ports_.expire(now_ms);
  count_ports();
  while (!lingering_.empty() && lingering_.front().until_ms <= now_ms) {
    const Lingering& each = lingering_.front();
    service_.splice().forget(each.keys, each.name);
    release_port(each.target, each.port, false, now_ms);
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
  std::uint64_t last_ns = 0;
  const auto client = service_.splice().read(flow.keys.client);
  const auto backend = service_.splice().read(flow.keys.backend);
  if (client && client->flow == name) {
    progress.to_backend += PacketEntry{.key = flow.keys.client, .flow = *client}.bytes();
    last_ns = client->last_ns;
  }
  if (backend && backend->flow == name) {
    progress.to_client += PacketEntry{.key = flow.keys.backend, .flow = *backend}.bytes();
    last_ns = std::max(last_ns, std::uint64_t{backend->last_ns});
  }
  const std::uint64_t now = monotonic_ns();
  if (last_ns != 0 && last_ns < now) progress.idle_ms = (now - last_ns) / 1'000'000;
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
