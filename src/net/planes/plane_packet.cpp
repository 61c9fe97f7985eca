#include "net/planes/plane_packet.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "bpf/packet/monotonic.h"
#include "bpf/packet/tcp_repair.h"
#include "net/interface_index.h"
#include "net/read_file.h"
#include "net/socket.h"

namespace sni {
namespace {

using Clock = std::chrono::steady_clock;

// How long a connection is retried whose packets are not seen: behind NAT they never are.
constexpr std::uint64_t unseen_ms = 3'000;
// How long looked-up routes are cached: the path MTU has no event.
constexpr std::uint64_t way_ms = 10'000;

constexpr int segment_max = 32'767;  // Of TCP_MAXSEG (MAX_TCP_WINDOW).
constexpr int timestamp_bytes = 12;  // TCP option of RFC 7323, padded.

// Whether this host's connections use timestamps if their peers do. Clients without them are
// declined anyway, since the backend's connection would have them.
bool host_stamps() {
  const auto setting = read_file("/proc/sys/net/ipv4/tcp_timestamps", 16);
  return !setting || !setting->starts_with('0');
}

// Whether this host's sockets, and so probably the backends, use BBR, of whatever version.
bool host_uses_bbr() {
  const auto setting = read_file("/proc/sys/net/ipv4/tcp_congestion_control", 32);
  return setting && setting->starts_with("bbr");
}

bool may_have_far_clients(FarClients config) {
  return config == FarClients::always || (config == FarClients::automatic && !host_uses_bbr());
}

// The backend's segments must fit the client's path, which may be narrower than its own: loopback has
// 64 KiB, many access networks have less than 1500, and an IPv6 header takes 20 more. An established
// socket's TCP_MAXSEG is the size of its segments without options (tcp_sync_mss), and costs less than
// a TCP_INFO.
void limit_segments(int client, int backend, bool stamped) {
  int segment = 0;
  socklen_t size = sizeof segment;
  if (::getsockopt(client, IPPROTO_TCP, TCP_MAXSEG, &segment, &size) != 0) return;
  if (stamped) segment += timestamp_bytes;
  if (segment > segment_max) return;  // A client on loopback, as the backend is.
  ::setsockopt(backend, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
}

bool is_far_client(const PlaneView& view) {
  const auto client = read_tcp_facts(view.client);
  const auto backend = read_tcp_facts(view.backend);
  return client && backend && is_far(client->least_round_trip, backend->least_round_trip);
}

bool may_come_back(packet_decline why) {
  return why == PACKET_DECLINE_BUSY || why == PACKET_DECLINE_PROMISE;
}

}  // namespace

PlanePacket::PlanePacket(PacketService& service, const FastPathConfig& config, PacketCounts& counts,
                         const PacketShare& share, unsigned worker, std::uint64_t run)
    : service_(service),
      config_(config),
      counts_(counts),
      worker_(worker),
      run_(run),
      stamps_(host_stamps()),
      far_clients_(may_have_far_clients(config.packet_far_clients)),
      // Names of an earlier process, whose flows may still exist, are not reused.
      next_number_((monotonic_ns() >> 10) & 0xffff'ffff'ffff),
      handovers_max_(share.handovers),
      ports_({.holders = share.holders, .sharing_from = share.holders / 4}, counts.ports),
      conntrack_(Conntrack::open()) {
  if (auto lookup = RouteLookup::open()) lookup_ = std::move(*lookup);
}

PlanePacket::~PlanePacket() = default;

// ---- Before the splice ------------------------------------------------------------------------

PlaneTicket PlanePacket::announce(int client, int backend, const Endpoint& target,
                                  std::uint64_t now_ms) {
  const sa_family_t family = target.ip.is_v4() ? AF_INET : AF_INET6;
  auto port = ports_.share(target);
  if (port && !bind_local_port(backend, family, *port)) {
    release_port(target, *std::exchange(port, std::nullopt), false, now_ms);
  }
  if (!port && !allow_holding(backend)) {
    counts_.declined[PACKET_DECLINE_REFUSED].add();
    return no_ticket;
  }
  limit_segments(client, backend, stamps_);
  promise_less(backend);
  const PlaneTicket ticket = pairs_.acquire();
  pairs_.emplace(ticket,
                 Pair{.target = target, .port = port.value_or(0), .keys = {}, .handover = nullptr});
  return ticket;
}

PlaneAnswer PlanePacket::wants(PlaneTicket ticket, const PlaneView& view, std::uint64_t now_ms) {
  Pair& pair = *pairs_.find(ticket);
  if (pair.pace.is_over()) return PlaneAnswer::declined;
  if (!pair.pace.is_due(now_ms)) return PlaneAnswer::undecided;
  if (pair.name == 0) {
    const bool due = view.sent_to_client + view.sent_to_backend >= config_.packet_after_bytes ||
                     view.age_ms >= static_cast<std::uint64_t>(config_.packet_after.count());
    if (!due) return PlaneAnswer::undecided;
    const packet_decline why = watch(pair, view, now_ms);
    if (why != PACKET_TAKEN) return decline(ticket, why, view);
    match_windows(view.client, view.backend);
    return PlaneAnswer::undecided;
  }
  const packet_decline why = check_handover(service_.splice(), handover_pair(pair, view));
  if (why == PACKET_TAKEN) return wants_rest(pair, view, now_ms);
  if (why == PACKET_DECLINE_UNSEEN && now_ms < pair.watched_ms + unseen_ms) {
    return PlaneAnswer::undecided;
  }
  return decline(ticket, why, view);
}

PlaneAnswer PlanePacket::wants_rest(Pair& pair, const PlaneView& view, std::uint64_t now_ms) {
  if (handovers_ >= handovers_max_) return PlaneAnswer::undecided;
  const auto client = read_tcp_facts(view.client);
  const auto backend = read_tcp_facts(view.backend);
  if (!client || !backend) return PlaneAnswer::wanted;  // The hand-over says why.
  const packet_decline why = pair.pace.foresee(*client, *backend);
  if (pair.pace.is_out()) {
    match_windows(view.client, view.backend);
    pair.pace.try_again(now_ms);
    return PlaneAnswer::undecided;
  }
  if (why == PACKET_TAKEN) return PlaneAnswer::wanted;
  retry(pair, why, view);
  return PlaneAnswer::undecided;
}

packet_decline PlanePacket::watch(Pair& pair, const PlaneView& view, std::uint64_t now_ms) {
  if (!far_clients_ && is_far_client(view)) return PACKET_DECLINE_FAR;
  const Endpoint client = peer_of(view.client);
  const Endpoint front = local_of(view.client);
  const Endpoint own = local_of(view.backend);
  const auto to_client = route(front.ip, client, now_ms);
  const auto to_backend = route(own.ip, pair.target, now_ms);
  if (!to_client || !to_backend) return PACKET_DECLINE_ROUTE;
  for (const PacketRoute& way : {*to_client, *to_backend}) {
    if (const auto why = service_.hook(way); why != PACKET_TAKEN) return why;
  }
  pair.client_ifindex = to_client->interface;
  pair.backend_ifindex = to_backend->interface;
  pair.keys = {.client = make_packet_key(client, front),
               .backend = make_packet_key(pair.target, own)};
  if (is_translated(pair)) return PACKET_DECLINE_UNSEEN;
  const std::uint64_t name = packet_flow_name(worker_, next_number_);
  next_number_ = (next_number_ + 1) & 0xffff'ffff'ffff;
  PacketSplice& splice = service_.splice();
  for (const packet_side side : {PACKET_CLIENT, PACKET_BACKEND}) {
    const packet_key& key = side == PACKET_CLIENT ? pair.keys.client : pair.keys.backend;
    const auto watched = splice.watch(key, name, side);
    if (watched) continue;
    if (side == PACKET_BACKEND) splice.unwatch(pair.keys.client, name);
    return watched.error().sys_errno == E2BIG ? PACKET_DECLINE_FULL : PACKET_DECLINE_REFUSED;
  }
  pair.name = name;
  // Attaching to an interface may have taken seconds on a busy host.
  pair.watched_ms = monotonic_ms();
  return PACKET_TAKEN;
}

// Once a connection: it is translated from its first packet on, or never.
bool PlanePacket::is_translated(Pair& pair) {
  Conntrack* const tracking = conntrack();
  if (tracking == nullptr) return false;
  for (const packet_key* key : {&pair.keys.client, &pair.keys.backend}) {
    const auto entry = tracking->find(packet_target(*key), packet_source(*key));
    if (entry == Conntrack::Entry::translated) return true;
    pair.tracked = pair.tracked || entry == Conntrack::Entry::plain;
  }
  return false;
}

// The modules may be loaded after our start.
Conntrack* PlanePacket::conntrack() {
  if (!conntrack_) conntrack_ = Conntrack::open();
  return conntrack_ ? &*conntrack_ : nullptr;
}

HandoverPair PlanePacket::handover_pair(const Pair& pair, const PlaneView& view) const {
  return {.client_fd = view.client,
          .backend_fd = view.backend,
          .keys = pair.keys,
          .flow = pair.name,
          .client_ifindex = pair.client_ifindex,
          .backend_ifindex = pair.backend_ifindex};
}

void PlanePacket::decline(packet_decline why, const Endpoint& target) {
  counts_.declined[why].add();
  if (!spdlog::should_log(spdlog::level::debug)) return;
  spdlog::debug("packet: a connection to {} stays in the relay: {}",
                target.port != 0 ? target.to_string(interface_name) : "a UNIX socket",
                to_string(why));
}

PlaneAnswer PlanePacket::decline(PlaneTicket ticket, packet_decline why, const PlaneView& view) {
  const Pair& pair = *pairs_.find(ticket);
  decline(why, pair.target);
  if (pair.name != 0) {
    free_windows(view.client, view.backend);
    service_.splice().unwatch(pair.keys.client, pair.name);
    service_.splice().unwatch(pair.keys.backend, pair.name);
  }
  pairs_.find(ticket)->name = 0;
  pairs_.find(ticket)->pace.end();  // A shared port stays in use until leave().
  return PlaneAnswer::declined;
}

HandoverStep PlanePacket::step(PlaneTicket ticket, const PlaneView& view,
                               std::chrono::milliseconds idle) {
  Pair& pair = *pairs_.find(ticket);
  if (pair.handover == nullptr) {
    if (!hold_port(pair)) {
      (void)decline(ticket, PACKET_DECLINE_PORT, view);
      return {.state = HandoverState::declined, .decline = PACKET_DECLINE_PORT};
    }
    ++handovers_;
    if (pair.tracked) {
      for (const packet_key* key : {&pair.keys.client, &pair.keys.backend}) {
        conntrack_->tolerate(packet_source(*key), packet_target(*key));
      }
    }
    let_buffers_grow(view.client, view.backend);
    pair.handover =
        std::make_unique<Handover>(service_.splice(), service_.grace(), handover_pair(pair, view),
                                   HandoverLimits{.quiesce = pair.pace.patience(), .stall = idle});
  }
  HandoverStep step = pair.handover->step(Clock::now());
  if (step.state == HandoverState::broken) counts_.broken.add();
  if (step.state != HandoverState::declined) return step;
  end_handover(pair, false, 0);
  if (may_come_back(step.decline)) {
    retry(pair, step.decline, view);
  } else {
    (void)decline(ticket, step.decline, view);
  }
  return step;
}

void PlanePacket::retry(Pair& pair, packet_decline why, const PlaneView& view) {
  log_pause(pair, pair.pace.fail(monotonic_ms()), to_string(why));
  if (!pair.pace.is_out()) return match_windows(view.client, view.backend);
  free_windows(view.client, view.backend);
  if (!std::exchange(pair.counted, true)) decline(why, pair.target);
}

void PlanePacket::put_off(PlaneTicket ticket, std::uint64_t now_ms) {
  Pair& pair = *pairs_.find(ticket);
  log_pause(pair, pair.pace.pause(now_ms), "a reader has stalled");
}

void PlanePacket::log_pause(const Pair& pair, std::chrono::milliseconds pause,
                            std::string_view why) {
  spdlog::debug("packet: a hand-over to {} is put off for {} ms: {}",
                pair.target.to_string(interface_name), pause.count(), why);
}

void PlanePacket::adopt(PlaneTicket ticket, Flow& flow, const PlaneView& view,
                        const IdleTimeouts& timeouts, std::uint64_t now_ms) {
  Pair& pair = *pairs_.find(ticket);
  const Spliced& kept = keep(pair.name, {.flow = &flow,
                                         .keys = pair.keys,
                                         .watch = FlowWatch(timeouts),
                                         .relayed = {view.sent_to_backend, view.sent_to_client},
                                         .ifindex = {pair.client_ifindex, pair.backend_ifindex},
                                         .routes_version = service_.routes_version()});
  soon_.push_back(pair.name);
  counts_.taken.add();
  flow.seat.leave_sockets();
  save(pair.name, kept);
  spdlog::debug("packet: a connection to {} was handed over after {} ms",
                pair.target.to_string(interface_name), now_ms - flow.record.started_ms);
  --handovers_;
  pairs_.free(ticket);
}

void PlanePacket::leave(PlaneTicket ticket, bool connected, std::uint64_t now_ms) {
  Pair& pair = *pairs_.find(ticket);
  const bool cut = pair.handover != nullptr && pair.handover->begun();
  if (cut) {
    // In the middle of a hand-over the ends are reset, since our sockets no longer know their
    // numbers.
    (void)service_.splice().kill(pair.keys, pair.name);
  } else if (pair.name != 0) {
    service_.splice().unwatch(pair.keys.client, pair.name);
    service_.splice().unwatch(pair.keys.backend, pair.name);
  }
  end_handover(pair, cut, now_ms);
  if (pair.port != 0) release_port(pair.target, pair.port, connected, now_ms);
  pairs_.free(ticket);
}

std::uint16_t PlanePacket::local_port(const PacketPair& keys) {
  return packet_target(keys.backend).port;
}

bool PlanePacket::hold_port(const Pair& pair) {
  if (pair.port != 0) return true;
  const bool held = ports_.hold(pair.target, local_port(pair.keys));
  count_ports();
  return held;
}

void PlanePacket::release_port(const Endpoint& target, std::uint16_t port, bool rest,
                               std::uint64_t now_ms) {
  ports_.release(target, port, rest, now_ms);
  count_ports();
}

void PlanePacket::count_ports() {
  const auto held = static_cast<std::uint32_t>(ports_.holders());
  // The difference may be negative: the sum of all workers is correct modulo 2^32.
  service_.held_ports().fetch_add(held - std::exchange(counted_ports_, held),
                                  std::memory_order_relaxed);
}

// Not spliced: the socket still has its port, unless the connection was `cut`.
void PlanePacket::end_handover(Pair& pair, bool cut, std::uint64_t now_ms) {
  if (pair.handover == nullptr) return;
  pair.handover.reset();
  --handovers_;
  if (pair.port == 0) release_port(pair.target, local_port(pair.keys), cut, now_ms);
}

std::optional<PacketRoute> PlanePacket::route(const IpAddress& source, const Endpoint& target,
                                              std::uint64_t now_ms) {
  if (!lookup_) return std::nullopt;
  const std::uint64_t version = service_.routes_version();
  Way& way = ways_[(std::hash<IpAddress>()(target.ip) ^ std::hash<IpAddress>()(source)) % ways_max];
  if (way.version == version && way.until_ms > now_ms && way.target.ip == target.ip &&
      way.target.scope == target.scope && way.source == source) {
    return way.route;
  }
  const auto found = lookup_->find(source, target);
  if (!found) return std::nullopt;
  way = {.target = target,
         .source = source,
         .version = version,
         .until_ms = now_ms + way_ms,
         .route = *found};
  return *found;
}

}  // namespace sni
