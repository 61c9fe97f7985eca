#include "net/planes/plane_sockhash.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "bpf/sockhash/tcp_counters.h"

namespace sni {

namespace {

// The client's send queue on a plane: the kernel's own upper bound by default (net.ipv4.tcp_wmem).
// On the same host it is the credit, which can be reckoned only where it is fixed; for a remote
// backend it keeps the kernel from waiting for room a scheduler tick at a time (sk_psock_backlog),
// which made 16 streams half as fast. SO_SNDBUF doubles it.
constexpr int client_send_buffer = 2 << 20;

void widen_send_queue(int client) {
  const int size = client_send_buffer;
  if (::setsockopt(client, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
    ::setsockopt(client, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

PlaneDecline reason_of(int sys_errno) {
  switch (sys_errno) {
    case EOPNOTSUPP:
      return PlaneDecline::half_closed;
    case E2BIG:
    case ENOMEM:
      return PlaneDecline::map_full;
    default:
      return PlaneDecline::not_insertable;
  }
}

}  // namespace

PlaneSockhash::PlaneSockhash(const FastPath& path, const FastPathConfig& config, Counters& counters,
                             unsigned worker)
    : slots_(*path.sockhash, worker), path_(path), config_(config), counters_(counters) {}

void PlaneSockhash::announce(PlanePair& pair, int client, int backend) {
  const auto slot = slots_.take(socket_cookie(backend));
  if (!slot) return decline(pair, PlaneDecline::no_slot);
  pair = {
      .slot = *slot, .stage = PlanePair::Stage::announced, .client_cookie = socket_cookie(client)};
  if (path_.local && !slots_.expect_backend(*slot, pair.client_cookie))
    decline(pair, PlaneDecline::map_full);
}

void PlaneSockhash::leave(PlanePair& pair) {
  if (pair.stage == PlanePair::Stage::userspace) return;
  slots_.give_back(pair.slot);
  pair.stage = PlanePair::Stage::userspace;
}

void PlaneSockhash::advance(PlanePair& pair, const PlaneView& view) {
  switch (pair.stage) {
    case PlanePair::Stage::userspace:
      return;
    case PlanePair::Stage::gated:
      return slots_.set_forwarded(pair.slot, view.sent_to_client - pair.relayed);
    case PlanePair::Stage::announced:
      if (slots_.blocking(pair.slot)) return decline(pair, PlaneDecline::blocking);
      if (slots_.left_out(pair.slot)) return decline(pair, PlaneDecline::not_known);
      // A backend that has answered was caught before it could, if at all.
      if (!path_.remote && view.sent_to_client > 0 && !slots_.caught(pair.slot))
        return decline(pair, PlaneDecline::not_on_this_host);
      if (!due(view)) return;
      decide(pair, view);
      if (pair.stage != PlanePair::Stage::local) return;
      [[fallthrough]];
    case PlanePair::Stage::local: {
      if (slots_.blocking(pair.slot)) return decline(pair, PlaneDecline::blocking);
      // What userspace has sent took from the space that the credit counts on.
      const bool sent = slots_.forwarded(pair.slot) != view.sent_to_client;
      if (sent || slots_.wants_grant(pair.slot)) slots_.grant(pair.slot, view.client);
      if (sent) slots_.set_forwarded(pair.slot, view.sent_to_client);
      return;
    }
  }
}

// After enough bytes or time: the work that a psock costs at its end is repaid by then.
bool PlaneSockhash::due(const PlaneView& view) const {
  return view.sent_to_client >= config_.after_bytes ||
         view.age_ms >= static_cast<std::uint64_t>(config_.after.count());
}

void PlaneSockhash::decide(PlanePair& pair, const PlaneView& view) {
  if (!slots_.caught(pair.slot)) {
    if (!path_.remote) decline(pair, PlaneDecline::not_on_this_host);
    return;  // hand_over() comes when the relay is between two receives.
  }
  if (const auto added = slots_.add_target(view.client, pair.client_cookie); !added)
    return decline(pair, reason_of(added.error().sys_errno));
  widen_send_queue(view.client);
  pair.stage = PlanePair::Stage::local;
  pair.taken = true;
  counters_.planes_taken.add();
}

bool PlaneSockhash::hand_over(PlanePair& pair, const PlaneView& view, std::uint64_t wake) {
  if (!path_.remote || pair.stage != PlanePair::Stage::announced || !due(view) ||
      slots_.caught(pair.slot) || slots_.left_out(pair.slot) || slots_.blocking(pair.slot))
    return false;
  // Where bytes wait, this is bulk, and splicing moves it faster.
  char byte;
  if (::recv(view.backend, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN) return false;
  auto added = slots_.add_target(view.client, pair.client_cookie);
  if (added)
    added = slots_.add_source(pair.slot, {.backend_fd = view.backend,
                                          .client_fd = view.client,
                                          .client_cookie = pair.client_cookie,
                                          .received = view.sent_to_client});
  if (!added) {
    decline(pair, reason_of(added.error().sys_errno));
    return false;
  }
  widen_send_queue(view.client);
  if (wakes_.size() <= pair.slot) wakes_.resize(pair.slot + 1);
  wakes_[pair.slot] = wake;
  pair.stage = PlanePair::Stage::gated;
  pair.taken = true;
  pair.relayed = view.sent_to_client;
  slots_.arm(pair.slot, static_cast<std::uint32_t>(config_.backlog));
  kick_source(view.backend);
  counters_.planes_taken.add();
  return true;
}

bool PlaneSockhash::source_drained(const PlanePair& pair, int backend) const {
  const auto counters = read_tcp_counters(backend);
  return !counters || slots_.source_drained(pair.slot, *counters, true);
}

bool PlaneSockhash::target_drained(const PlanePair& pair, int client) const {
  return slots_.target_drained(pair.slot, client);
}

std::optional<std::uint64_t> PlaneSockhash::take_woken() {
  const auto slot = slots_.take_notice();
  if (!slot) return std::nullopt;
  return wakes_[*slot];
}

void PlaneSockhash::decline(PlanePair& pair, PlaneDecline reason) {
  if (pair.stage != PlanePair::Stage::userspace) slots_.release_backend(pair.slot);
  leave(pair);
  counters_.planes_declined[static_cast<std::size_t>(reason)].add();
  spdlog::debug("sockhash declined a connection: {}", to_string(reason));
}

bool PlaneSockhash::moved(PlanePair& pair) const {
  if (pair.stage != PlanePair::Stage::local && pair.stage != PlanePair::Stage::gated) return false;
  const auto now = slots_.redirected(pair.slot);
  return std::exchange(pair.redirected, now) != now;
}

std::uint64_t PlaneSockhash::sent_to_client(int client) {
  const auto counters = read_tcp_counters(client);
  return counters ? counters->written : 0;
}

}  // namespace sni
