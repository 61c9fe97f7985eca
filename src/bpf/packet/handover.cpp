#include "bpf/packet/handover.h"

#include <algorithm>
#include <array>
#include <utility>

#include "bpf/packet/carrier.h"
#include "bpf/packet/monotonic.h"
#include "bpf/packet/tcp_repair.h"

namespace sni {
namespace {

using Clock = Carrier::Clock;
using std::chrono::milliseconds;

// A step of the transition costs some 25 system calls, and the programs forward without it. So the
// pause between two steps doubles while the sockets have nothing to carry.
constexpr milliseconds quick{1};
constexpr milliseconds slow{50};
// The longest wait for quiet while an end's window is closed: nobody knows when it will open.
constexpr milliseconds quiesce_closed{20};

packet_decline to_decline(PairFit fit) {
  switch (fit) {
    case PairFit::fits:
      return PACKET_TAKEN;
    case PairFit::closing:
      return PACKET_DECLINE_CLOSING;
    case PairFit::options:
      return PACKET_DECLINE_OPTIONS;
    case PairFit::ecn:
      return PACKET_DECLINE_ECN;
    case PairFit::mss:
      return PACKET_DECLINE_MSS;
    case PairFit::busy:
      return PACKET_DECLINE_BUSY;
    case PairFit::promise:
      return PACKET_DECLINE_PROMISE;
  }
  std::unreachable();
}

// Half of the window that `from` was offered, which is at most the largest one it knows.
std::uint16_t ack_room(const TcpPosition& from) {
  if (is_before(from.promised_edge, from.received_seq)) return 0;
  const std::uint32_t window = from.promised_edge - from.received_seq;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(window / 2, UINT16_MAX));
}

}  // namespace

packet_decline check_handover(const PacketSplice& plane, const HandoverPair& pair) {
  const auto client_seen = plane.seen(pair.keys.client);
  const auto backend_seen = plane.seen(pair.keys.backend);
  if (!client_seen.seen || !backend_seen.seen) return PACKET_DECLINE_UNSEEN;
  if (client_seen.closing || backend_seen.closing) return PACKET_DECLINE_CLOSING;
  if (client_seen.odd_options || backend_seen.odd_options) return PACKET_DECLINE_ODD_OPTIONS;
  const auto client = read_tcp_facts(pair.client_fd);
  const auto backend = read_tcp_facts(pair.backend_fd);
  if (!client || !backend) return PACKET_DECLINE_REFUSED;
  return to_decline(compare_terms(client->terms, backend->terms));
}

struct Handover::State {
  PacketSplice& plane;
  GracePeriods& grace;
  HandoverPair pair;
  HandoverLimits limits;
  Clock::time_point started{};
  Clock::time_point began{};
  bool begun = false;
  milliseconds pause = quick;
  std::uint64_t ticket = 0;
  std::array<Carrier, PACKET_SIDES> carriers;  // By packet_side.

  HandoverStep quiesce(Clock::time_point now);
  HandoverStep begin(Clock::time_point now, const TcpPosition& client, const TcpPosition& backend);
  HandoverStep transition(Clock::time_point now);
  bool uses_loopback() const;
  HandoverStep leave();
  HandoverStep give_up(packet_decline decline, std::string why);
  HandoverStep broken(std::string why);
};

Handover::Handover(PacketSplice& plane, GracePeriods& grace, const HandoverPair& pair,
                   const HandoverLimits& limits)
    : state_(std::make_unique<State>(
          State{.plane = plane,
                .grace = grace,
                .pair = pair,
                .limits = limits,
                .carriers = {Carrier(plane, pair.flow, pair.client_fd, pair.keys.client),
                             Carrier(plane, pair.flow, pair.backend_fd, pair.keys.backend)}})) {}

Handover::~Handover() = default;
Handover::Handover(Handover&&) noexcept = default;
Handover& Handover::operator=(Handover&&) noexcept = default;

bool Handover::begun() const {
  return state_->begun;
}

HandoverStep Handover::step(Clock::time_point now) {
  if (state_->started == Clock::time_point{}) state_->started = now;
  return state_->begun ? state_->transition(now) : state_->quiesce(now);
}

// Nothing is read or written here, so the ends' acknowledgements and windows catch up while our
// offered window stands still.
HandoverStep Handover::State::quiesce(Clock::time_point now) {
  if (const auto decline = check_handover(plane, pair); decline != PACKET_TAKEN)
    return give_up(decline, "");
  // An end that misses acknowledgements takes bytes that a socket has for lost, and sends them again
  // by way of the programs.
  for (const Carrier& carrier : carriers) acknowledge_now(carrier.fd());
  const auto client = read_tcp_position(pair.client_fd);
  if (!client) return give_up(PACKET_DECLINE_REFUSED, client.error().what);
  const auto backend = read_tcp_position(pair.backend_fd);
  if (!backend) return give_up(PACKET_DECLINE_REFUSED, backend.error().what);
  // A FIN that came since the check would count as a byte in these positions, and every number
  // after it would be one too high. The programs see it before the socket does.
  if (plane.seen(pair.keys.client).closing || plane.seen(pair.keys.backend).closing)
    return give_up(PACKET_DECLINE_CLOSING, "");
  const PairFit fit = compare_positions(*client, *backend);
  if (fit == PairFit::fits) return begin(now, *client, *backend);
  const bool closed = client->peer_window == 0 || backend->peer_window == 0;
  const auto limit = closed ? std::min(limits.quiesce, quiesce_closed) : limits.quiesce;
  const auto waited = std::chrono::floor<milliseconds>(now - started);
  if (waited >= limit) return give_up(to_decline(fit), "");
  // An acknowledgement that is far away is asked for less often.
  return {.again = std::max(quick, waited / 8), .why = {}};
}

HandoverStep Handover::State::begin(Clock::time_point now, const TcpPosition& client,
                                    const TcpPosition& backend) {
  std::array<packet_flow, PACKET_SIDES> entries{};
  const std::array<const TcpPosition*, PACKET_SIDES> positions{&client, &backend};
  for (const packet_side side : {PACKET_CLIENT, PACKET_BACKEND}) {
    const packet_side other = side == PACKET_CLIENT ? PACKET_BACKEND : PACKET_CLIENT;
    Carrier& carrier = carriers[side];
    const auto facts = read_tcp_facts(carrier.fd());
    const auto other_facts = read_tcp_facts(carriers[other].fd());
    // Taken before the stamp: the programs' timestamps may run ahead of the socket's, but must not
    // lag behind.
    const std::uint64_t stamp_ns = monotonic_ns();
    const auto stamp = read_tcp_stamp(carriers[other].fd());
    if (!facts || !other_facts || !stamp)
      return give_up(PACKET_DECLINE_REFUSED, "cannot read TCP_INFO or TCP_TIMESTAMP");
    const TcpPosition& from = *positions[side];
    const TcpPosition& to = *positions[other];
    const Deltas delta = deltas(from, to);
    packet_flow& entry = entries[side];
    entry.peer = carriers[other].key();
    entry.flow = pair.flow;
    entry.side = side;
    entry.seq_delta = delta.seq;
    entry.ack_delta = delta.ack;
    entry.ifindex = side == PACKET_CLIENT ? pair.backend_ifindex : pair.client_ifindex;
    entry.owned_end = from.write_seq;
    entry.scale_from = facts->send_scale;
    entry.scale_to = other_facts->receive_scale;
    entry.ack_room = ack_room(from);
    entry.base = from.read_seq;
    entry.local_seq = from.received_seq;
    entry.stamp = *stamp;
    entry.stamp_ns = stamp_ns;
    entry.acked = PACKET_EXTENDED + from.read_seq;
    entry.sent = from.received_seq;
    entry.edge = send_edge(from, to);
    const std::uint32_t room_end = carrier.room_behind(from.read_seq);
    if (is_before(entry.edge, room_end)) entry.edge = room_end;
    entry.ack_seen = from.acked_seq;
    carrier.begin(from.write_seq, from.read_seq, from.received_seq);
  }
  if (auto done = plane.begin(pair.keys, entries[PACKET_CLIENT], entries[PACKET_BACKEND]); !done)
    return give_up(PACKET_DECLINE_REFUSED, done.error().what);
  // From now on a FIN of ours would have a number that the end is beyond, and if this process is
  // killed, the end would hear nothing until the kernel gives the socket up after minutes. An RST
  // makes it ask, and the kernel, which has no socket any more, answers with the right number.
  for (const Carrier& carrier : carriers) reset_on_close(carrier.fd());
  begun = true;
  began = now;
  ticket = grace.ask();
  return transition(now);
}

// Bytes that a socket received go to the other side as in the relay.
HandoverStep Handover::State::transition(Clock::time_point now) {
  // Most likely a reset: our remaining bytes are no longer needed.
  const auto entry = plane.read(pair.keys.client);
  if (entry && entry->state == PACKET_FINISHED) return leave();
  bool moved = false;
  for (const packet_side side : {PACKET_CLIENT, PACKET_BACKEND}) {
    Carrier& from = carriers[side];
    Carrier& to = carriers[side == PACKET_CLIENT ? PACKET_BACKEND : PACKET_CLIENT];
    if (auto done = from.publish_received(); !done) return broken(done.error().what);
    const auto drained = from.drain(to);
    if (!drained) return broken(drained.error().what);
    moved = moved || *drained;
  }
  const auto shortest = uses_loopback() ? limits.settle_on_lo : limits.settle;
  const bool settled = now - began >= shortest && grace.passed(ticket);
  if (settled && !moved && carriers[PACKET_CLIENT].is_done() && carriers[PACKET_BACKEND].is_done())
    return leave();
  for (Carrier& carrier : carriers) {
    if (carrier.is_stalled(now, limits.stall))
      return broken("an end acknowledges none of the bytes owed to it");
  }
  pause = moved ? quick : std::min(2 * pause, slow);
  const auto to_settle = std::chrono::ceil<milliseconds>(began + shortest - now);
  return {.again = to_settle > milliseconds(0) ? std::min(pause, to_settle) : pause, .why = {}};
}

bool Handover::State::uses_loopback() const {
  constexpr std::uint32_t loopback = 1;  // LOOPBACK_IFINDEX of include/net/flow.h.
  return pair.client_ifindex == loopback || pair.backend_ifindex == loopback;
}

HandoverStep Handover::State::leave() {
  if (auto done = plane.finish_transition(pair.keys, pair.flow); !done)
    return broken(done.error().what);
  for (const packet_side side : {PACKET_CLIENT, PACKET_BACKEND}) {
    carriers[side].release_ack(carriers[side == PACKET_CLIENT ? PACKET_BACKEND : PACKET_CLIENT]);
  }
  for (const Carrier& carrier : carriers) {
    if (auto done = leave_silently(carrier.fd()); !done) return broken(done.error().what);
  }
  return {.state = HandoverState::spliced, .why = {}};
}

HandoverStep Handover::State::give_up(packet_decline decline, std::string why) {
  return {.state = HandoverState::declined, .decline = decline, .why = std::move(why)};
}

// Neither carrier can finish alone: both ends are reset.
HandoverStep Handover::State::broken(std::string why) {
  for (const Carrier& carrier : carriers) std::ignore = leave_silently(carrier.fd());
  if (auto done = plane.kill(pair.keys, pair.flow); !done) why += "; " + done.error().what;
  return {.state = HandoverState::broken, .decline = PACKET_DECLINE_CLOSING, .why = std::move(why)};
}

}  // namespace sni
