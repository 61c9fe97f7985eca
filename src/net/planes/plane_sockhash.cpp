#include "net/planes/plane_sockhash.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "bpf/sockhash/tcp_counters.h"

namespace sni {

namespace {

// The client's send queue on a plane: the kernel's own upper bound by default (net.ipv4.tcp_wmem).
// On the same host it determines the credit, which can be computed only if it is fixed. For a
// remote backend it keeps the kernel from waiting for room a scheduler tick at a time
// (sk_psock_backlog), which made 16 streams half as fast. SO_SNDBUF doubles it.
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

PlaneTicket PlaneSockhash::announce(int client, int backend) {
  const auto slot = slots_.take(socket_cookie(backend));
  if (!slot) {
    count_decline(PlaneDecline::no_slot);
    return no_ticket;
  }
  if (pairs_.size() <= *slot) pairs_.resize(*slot + 1);
  pairs_[*slot] = {.client_cookie = socket_cookie(client)};
  if (path_.local && !slots_.expect_backend(*slot, pairs_[*slot].client_cookie)) {
    decline(*slot, PlaneDecline::map_full);
    return no_ticket;
  }
  return *slot;
}

PlaneAnswer PlaneSockhash::progress(PlaneTicket ticket, const PlaneView& view) {
  const Pair& pair = pairs_[ticket];
  switch (pair.stage) {
    case Stage::gated:
      slots_.set_forwarded(ticket, view.sent_to_client - pair.relayed);
      return PlaneAnswer::gated;
    case Stage::local:
      return grant(ticket, view);
    case Stage::announced:
      break;
  }
  if (slots_.blocking(ticket)) return decline(ticket, PlaneDecline::blocking);
  if (slots_.left_out(ticket)) return decline(ticket, PlaneDecline::not_known);
  // A backend is captured before its first answer, or never.
  if (!path_.remote && view.sent_to_client > 0 && !slots_.caught(ticket))
    return decline(ticket, PlaneDecline::not_on_this_host);
  if (!due(view)) return PlaneAnswer::undecided;
  return decide(ticket, view);
}

// After enough bytes or time the cost of tearing down a psock has paid off.
bool PlaneSockhash::due(const PlaneView& view) const {
  return view.sent_to_client >= config_.after_bytes ||
         view.age_ms >= static_cast<std::uint64_t>(config_.after.count());
}

PlaneAnswer PlaneSockhash::decide(PlaneTicket ticket, const PlaneView& view) {
  if (!slots_.caught(ticket)) {
    if (!path_.remote) return decline(ticket, PlaneDecline::not_on_this_host);
    return PlaneAnswer::undecided;  // offer() comes when the relay is between two receives.
  }
  if (const auto added = slots_.add_target(view.client, pairs_[ticket].client_cookie); !added)
    return decline(ticket, reason_of(added.error().sys_errno));
  widen_send_queue(view.client);
  pairs_[ticket].stage = Stage::local;
  counters_.planes_taken.add();
  return grant(ticket, view);
}

PlaneAnswer PlaneSockhash::grant(PlaneTicket ticket, const PlaneView& view) {
  if (slots_.blocking(ticket)) return decline(ticket, PlaneDecline::blocking);
  // Bytes that userspace sent use the space that the credit assumes.
  const bool sent = slots_.forwarded(ticket) != view.sent_to_client;
  if (sent || slots_.wants_grant(ticket)) slots_.grant(ticket, view.client);
  if (sent) slots_.set_forwarded(ticket, view.sent_to_client);
  return PlaneAnswer::kept;
}

PlaneAnswer PlaneSockhash::offer(PlaneTicket ticket, const PlaneView& view) {
  Pair& pair = pairs_[ticket];
  if (!path_.remote || pair.stage != Stage::announced || !due(view) || slots_.caught(ticket) ||
      slots_.left_out(ticket) || slots_.blocking(ticket))
    return PlaneAnswer::undecided;
  // If bytes are waiting, this is bulk transfer, and splicing moves it faster.
  char byte;
  if (::recv(view.backend, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN)
    return PlaneAnswer::undecided;
  auto added = slots_.add_target(view.client, pair.client_cookie);
  if (added)
    added = slots_.add_source(ticket, {.backend_fd = view.backend,
                                       .client_fd = view.client,
                                       .client_cookie = pair.client_cookie,
                                       .received = view.sent_to_client});
  if (!added) return decline(ticket, reason_of(added.error().sys_errno));
  widen_send_queue(view.client);
  pair.stage = Stage::gated;
  pair.relayed = view.sent_to_client;
  pair.wake = view.wake;
  slots_.arm(ticket, static_cast<std::uint32_t>(config_.backlog));
  kick_source(view.backend);
  counters_.planes_taken.add();
  return PlaneAnswer::gated;
}

bool PlaneSockhash::source_drained(PlaneTicket ticket, int backend) const {
  const auto counters = read_tcp_counters(backend);
  return !counters || slots_.source_drained(ticket, *counters, true);
}

std::optional<std::uint64_t> PlaneSockhash::take_woken() {
  const auto slot = slots_.take_notice();
  if (!slot) return std::nullopt;
  return pairs_[*slot].wake;
}

PlaneAnswer PlaneSockhash::decline(PlaneTicket ticket, PlaneDecline reason) {
  slots_.release_backend(ticket);
  leave(ticket);
  count_decline(reason);
  return PlaneAnswer::declined;
}

void PlaneSockhash::count_decline(PlaneDecline reason) {
  counters_.planes_declined[static_cast<std::size_t>(reason)].add();
  spdlog::debug("sockhash declined a connection: {}", to_string(reason));
}

bool PlaneSockhash::moved(PlaneTicket ticket) {
  Pair& pair = pairs_[ticket];
  if (pair.stage == Stage::announced) return false;
  const auto now = slots_.redirected(ticket);
  return std::exchange(pair.redirected, now) != now;
}

std::uint64_t PlaneSockhash::sent_to_client(int client) {
  const auto counters = read_tcp_counters(client);
  return counters ? counters->written : 0;
}

}  // namespace sni
