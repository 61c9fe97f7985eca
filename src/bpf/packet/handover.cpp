#include "bpf/packet/handover.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "bpf/packet/monotonic.h"
#include "bpf/packet/tcp_repair.h"

namespace sni {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint32_t drain_bytes = 64 * 1024;
// A step of the transition costs some 25 system calls, and the programs forward without it. So the
// pause between two steps doubles while the sockets have nothing to carry.
constexpr milliseconds quick{1};
constexpr milliseconds slow{50};

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

bool is_before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

// Right edge of the window that a socket may have offered by the end of the next recv(): reading
// makes room, the socket offers it before the call returns, and the end's bytes may have arrived by
// then.
std::uint32_t room_behind(int fd, std::uint32_t read_seq) {
  return read_seq + receive_room(fd) + drain_bytes;
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
  // The proxy's socket towards one end during the transition.
  struct Carrier {
    int fd = -1;
    packet_key key{};
    std::uint32_t owned_end = 0;  // After the last byte, or FIN, that we must deliver to the end.
    std::uint32_t read_seq = 0;   // After the last byte read from the end ...
    std::uint32_t local_seq = 0;  // ... and after the last one that the socket has, as published.
    std::uint32_t taken = 0;      // After the last byte that the end acknowledged ...
    Clock::time_point taken_at;   // ... since then.
    std::vector<char> unsent;     // Read from the other end, and not yet accepted by this socket.
    bool shut = false;            // Our FIN is written.
    bool ended = false;           // The end's FIN was read.
  };

  PacketSplice& plane;
  GracePeriods& grace;
  HandoverPair pair;
  HandoverLimits limits;
  Clock::time_point started{};
  Clock::time_point began{};
  bool begun = false;
  milliseconds pause = quick;
  std::uint64_t ticket = 0;
  std::array<Carrier, PACKET_SIDES> carriers;

  HandoverStep quiesce(Clock::time_point now);
  HandoverStep begin(Clock::time_point now, const TcpPosition& client, const TcpPosition& backend);
  HandoverStep transition(Clock::time_point now);
  Result<void> publish_received(Carrier& from);
  Result<bool> drain(Carrier& from, Carrier& to);
  Result<bool> receive(Carrier& from, Carrier& to);
  Result<bool> send(Carrier& to) const;
  Result<void> pass_fin(Carrier& from, Carrier& to);
  bool uses_loopback() const;
  bool has_all(const Carrier& carrier) const;
  bool is_done(const Carrier& carrier) const;
  bool is_stalled(Carrier& carrier, Clock::time_point now) const;
  void release_acks() const;
  HandoverStep leave();
  HandoverStep give_up(packet_decline decline, std::string why);
  HandoverStep broken(std::string why);
};

Handover::Handover(PacketSplice& plane, GracePeriods& grace, const HandoverPair& pair,
                   const HandoverLimits& limits)
    : state_(std::make_unique<State>(
          State{.plane = plane, .grace = grace, .pair = pair, .limits = limits, .carriers = {}})) {
  state_->carriers[PACKET_CLIENT] = {.fd = pair.client_fd, .key = pair.keys.client, .unsent = {}};
  state_->carriers[PACKET_BACKEND] = {
      .fd = pair.backend_fd, .key = pair.keys.backend, .unsent = {}};
}

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
  for (const Carrier& carrier : carriers) acknowledge_now(carrier.fd);
  const auto client = read_tcp_position(pair.client_fd);
  if (!client) return give_up(PACKET_DECLINE_REFUSED, client.error().what);
  const auto backend = read_tcp_position(pair.backend_fd);
  if (!backend) return give_up(PACKET_DECLINE_REFUSED, backend.error().what);
  const PairFit fit = compare_positions(*client, *backend);
  if (fit == PairFit::fits) return begin(now, *client, *backend);
  if (now - started >= limits.quiesce) return give_up(to_decline(fit), "");
  return {.again = quick, .why = {}};
}

HandoverStep Handover::State::begin(Clock::time_point now, const TcpPosition& client,
                                    const TcpPosition& backend) {
  std::array<packet_flow, PACKET_SIDES> entries{};
  const std::array<const TcpPosition*, PACKET_SIDES> positions{&client, &backend};
  for (const packet_side side : {PACKET_CLIENT, PACKET_BACKEND}) {
    const packet_side other = side == PACKET_CLIENT ? PACKET_BACKEND : PACKET_CLIENT;
    Carrier& carrier = carriers[side];
    const auto facts = read_tcp_facts(carrier.fd);
    const auto other_facts = read_tcp_facts(carriers[other].fd);
    // Taken before the stamp: the programs' timestamps may run ahead of the socket's, but must not
    // lag behind.
    const std::uint64_t stamp_ns = monotonic_ns();
    const auto stamp = read_tcp_stamp(carriers[other].fd);
    if (!facts || !other_facts || !stamp)
      return give_up(PACKET_DECLINE_REFUSED, "cannot read TCP_INFO or TCP_TIMESTAMP");
    const TcpPosition& from = *positions[side];
    const TcpPosition& to = *positions[other];
    const Deltas delta = deltas(from, to);
    packet_flow& entry = entries[side];
    entry.peer = carriers[other].key;
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
    const std::uint32_t room_end = room_behind(carrier.fd, from.read_seq);
    if (is_before(entry.edge, room_end)) entry.edge = room_end;
    entry.ack_seen = from.acked_seq;
    carrier.owned_end = from.write_seq;
    carrier.read_seq = from.read_seq;
    carrier.local_seq = from.received_seq;
  }
  if (auto done = plane.begin(pair.keys, entries[PACKET_CLIENT], entries[PACKET_BACKEND]); !done)
    return give_up(PACKET_DECLINE_REFUSED, done.error().what);
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
    if (auto done = publish_received(from); !done) return broken(done.error().what);
    const auto drained = drain(from, to);
    if (!drained) return broken(drained.error().what);
    moved = moved || *drained;
  }
  const auto shortest = uses_loopback() ? limits.settle : milliseconds(0);
  const bool settled = now - began >= shortest && grace.passed(ticket);
  if (settled && !moved && is_done(carriers[PACKET_CLIENT]) && is_done(carriers[PACKET_BACKEND]))
    return leave();
  for (Carrier& carrier : carriers) {
    if (is_stalled(carrier, now)) return broken("an end acknowledges none of the bytes owed to it");
  }
  pause = moved ? quick : std::min(2 * pause, slow);
  const auto to_settle = std::chrono::ceil<milliseconds>(began + shortest - now);
  return {.again = to_settle > milliseconds(0) ? std::min(pause, to_settle) : pause, .why = {}};
}

// Publishes bytes, or a FIN, that reached the socket as the programs began and may still be unread.
Result<void> Handover::State::publish_received(Carrier& from) {
  const auto position = read_tcp_position(from.fd);
  if (!position || !is_before(from.local_seq, position->received_seq)) return {};
  from.local_seq = position->received_seq;
  acknowledge_now(from.fd);
  return plane.widen(from.key, pair.flow, from.local_seq, room_behind(from.fd, from.read_seq));
}

// true: bytes moved, or are waiting.
Result<bool> Handover::State::drain(Carrier& from, Carrier& to) {
  bool moved = false;
  for (;;) {
    auto sent = send(to);
    if (!sent) return sent;
    if (!*sent) return true;  // The socket is full.
    auto received = receive(from, to);
    if (!received) return received;
    if (!*received) return moved;
    moved = true;
  }
}

// true: nothing is left to send. An end that sent bytes again may have brought all of them to the
// other one by way of the programs. That one's acknowledgements are then beyond what the socket has
// sent, which discards them and never has room again.
Result<bool> Handover::State::send(Carrier& to) const {
  if (!to.unsent.empty() && has_all(to)) to.unsent.clear();
  while (!to.unsent.empty()) {
    const auto sent =
        ::send(to.fd, to.unsent.data(), to.unsent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) return false;
      return fail_sys("cannot write bytes in flight at the hand-over", errno);
    }
    to.unsent.erase(to.unsent.begin(), to.unsent.begin() + sent);
  }
  return true;
}

// true: there were bytes, or the FIN.
Result<bool> Handover::State::receive(Carrier& from, Carrier& to) {
  if (from.ended) return false;
  to.unsent.resize(drain_bytes);
  const auto got = ::recv(from.fd, to.unsent.data(), to.unsent.size(), MSG_DONTWAIT);
  const int error = errno;
  to.unsent.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (got > 0) {
    from.read_seq += static_cast<std::uint32_t>(got);
    const std::uint32_t edge = room_behind(from.fd, from.read_seq);
    if (auto done = plane.widen(from.key, pair.flow, from.read_seq, edge); !done)
      return std::unexpected(done.error());
    // Set before they are sent: until the end has acknowledged all of them, its acknowledgements
    // must reach the socket, or the socket's buffer would stay full.
    to.owned_end += static_cast<std::uint32_t>(got);
    if (auto done = plane.publish(to.key, pair.flow, to.owned_end); !done)
      return std::unexpected(done.error());
    return true;
  }
  if (got < 0 && error == EAGAIN) return false;
  if (got < 0) return fail_sys("cannot read bytes in flight at the hand-over", error);
  if (auto done = pass_fin(from, to); !done) return std::unexpected(done.error());
  return true;
}

// Passes on a FIN that reached the socket instead of the programs: our own FIN replaces it on the
// other side, with the number that it would have there.
Result<void> Handover::State::pass_fin(Carrier& from, Carrier& to) {
  from.ended = true;
  const auto entry = plane.read(from.key);
  if (!entry) return fail("a flow's entry has gone");
  if (::shutdown(to.fd, SHUT_WR) != 0)
    return fail_sys("cannot pass a FIN on at the hand-over", errno);
  to.shut = true;
  to.owned_end += 1;
  if (auto done = plane.publish(to.key, pair.flow, to.owned_end); !done) return done;
  return plane.note_fin(from.key, pair.flow, to.owned_end - entry->seq_delta);
}

// The end has acknowledged all that we owe it.
bool Handover::State::has_all(const Carrier& carrier) const {
  const auto entry = plane.read(carrier.key);
  return entry && !is_before(entry->ack_seen, carrier.owned_end);
}

// Everything that the socket received has been read, and the end has all that we owe it.
bool Handover::State::is_done(const Carrier& carrier) const {
  if (!carrier.unsent.empty() || !has_all(carrier)) return false;
  // A FIN has a number too.
  const auto position = read_tcp_position(carrier.fd);
  return position && position->received_seq == carrier.read_seq + (carrier.ended ? 1 : 0);
}

// Whether the end still owes us an acknowledgement and has made no progress for too long.
bool Handover::State::is_stalled(Carrier& carrier, Clock::time_point now) const {
  const auto entry = plane.read(carrier.key);
  if (!entry) return true;
  const bool owed = !carrier.unsent.empty() || is_before(entry->ack_seen, carrier.owned_end);
  if (!owed || entry->ack_seen != carrier.taken || carrier.taken_at == Clock::time_point{}) {
    carrier.taken = entry->ack_seen;
    carrier.taken_at = now;
  }
  return now - carrier.taken_at >= limits.stall;
}

bool Handover::State::uses_loopback() const {
  constexpr std::uint32_t loopback = 1;  // LOOPBACK_IFINDEX of include/net/flow.h.
  return pair.client_ifindex == loopback || pair.backend_ifindex == loopback;
}

// An end whose acknowledgements were limited (translated_ack() in packet_rewrite.bpf.h) may have no
// reason to send another, and the other end would wait for its retransmission timeout.
void Handover::State::release_acks() const {
  for (const packet_side side : {PACKET_CLIENT, PACKET_BACKEND}) {
    const auto entry = plane.read(carriers[side].key);
    const auto other =
        plane.read(carriers[side == PACKET_CLIENT ? PACKET_BACKEND : PACKET_CLIENT].key);
    if (!entry || !other) continue;
    const std::uint32_t limit = other->local_seq + other->ack_room;
    if (!is_before(limit, entry->ack_seen + entry->ack_delta)) continue;
    if (const auto stamp = read_tcp_stamp(carriers[side].fd)) prod(carriers[side].fd, *stamp);
  }
}

HandoverStep Handover::State::leave() {
  if (auto done = plane.finish_transition(pair.keys, pair.flow); !done)
    return broken(done.error().what);
  release_acks();
  for (const Carrier& carrier : carriers) {
    if (auto done = leave_silently(carrier.fd); !done) return broken(done.error().what);
  }
  return {.state = HandoverState::spliced, .why = {}};
}

HandoverStep Handover::State::give_up(packet_decline decline, std::string why) {
  return {.state = HandoverState::declined, .decline = decline, .why = std::move(why)};
}

// Neither carrier can finish alone: both ends are reset.
HandoverStep Handover::State::broken(std::string why) {
  for (const Carrier& carrier : carriers) std::ignore = leave_silently(carrier.fd);
  if (auto done = plane.kill(pair.keys, pair.flow); !done) why += "; " + done.error().what;
  return {.state = HandoverState::broken, .decline = PACKET_DECLINE_CLOSING, .why = std::move(why)};
}

}  // namespace sni
