#pragma once

// Theory of operation: relays those bytes of an established connection that reach userspace. Each
// direction is a pipe, named by the side that it reads from: it receives, sends all of it, and
// receives again, so that a slow reader stops only its own writer. Small pieces go through a buffer
// (net/relay/pipe.h), bulk through a kernel pipe (net/relay/bulk_lane.h). If a kernel plane moves
// bytes (net/planes/plane.h), the relay reports progress to it and handles the rest.
//
// start_*() submits to the ring or returns its result at once; on_*() turns a completion into the
// session's event. No event: the operation continues in another form.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "core/session/session.h"
#include "net/connect/flight.h"
#include "net/flow/flow_settings.h"
#include "net/loop/loop.h"
#include "net/loop/sockets.h"
#include "net/planes/gated_reader.h"
#include "net/relay/bulk_lane.h"
#include "net/relay/pipe.h"
#include "net/relay/room_wait.h"

namespace sni {

// The context of a relay. All of it outlives the relay.
struct RelayPlace {
  Loop& loop;
  const Sockets& sockets;
  const Session& session;
  Flow& flow;
  const FlowSettings& settings;
  // Another backend takes this one's place if it ends before either side has sent a byte more.
  bool may_retreat = false;
};

class Relay {
 public:
  // `first`: the client's bytes so far, which the backend gets first. `flight` owns them; if it is
  // empty, another owner keeps them until they are sent.
  Relay(const RelayPlace& place, PlanePair pair, Flight flight, std::span<const std::uint8_t> first,
        std::size_t header_bytes);

  std::optional<Event> start_receive(Side side);
  std::optional<Event> on_receive(Side side, const Completion& completion);
  std::optional<Event> start_send(Side side);
  std::optional<Event> on_send(Side side, const Completion& completion);

  // Whether a plane has asked for both sockets since the last call.
  bool take_wanted() { return std::exchange(wanted_, false); }
  // One step of the hand-over, to be called at rest: its event, or when to call it again.
  std::variant<Event, std::chrono::milliseconds> hand_over();

  // LowWaterQueue::expire() calls it.
  std::optional<std::uint64_t> on_low_water_due(Side side) {
    return lane(side).on_low_water_due(loop(), place_.sockets);
  }

  // Backends' keepalive begins when a connection has lasted for so long: most end before, and need
  // none of its system calls.
  static constexpr std::chrono::milliseconds keepalive_after_max{5000};
  std::chrono::milliseconds keepalive_after() const {
    return std::min(keepalive_after_max, place_.settings.tcp.keepalive_idle);
  }
  // To be called then, and as often as you like.
  void keep_alive();

  // When the connection will have been idle for `idle_ms` if no bytes move; nullopt: it already
  // has.
  std::optional<std::uint64_t> idle_at(std::uint64_t idle_ms);
  // Time since bytes last moved.
  std::uint64_t idle_ms();
  // A slow reader keeps the relay from coming to rest.
  void put_off_hand_over() {
    wanted_ = false;
    loop().planes.packet().put_off(pair_.packet, loop().now_ms);
  }
  // A reset of one side waits until the other has all earlier bytes, or accepts nothing for
  // limits::linger_ms_max.
  void begin_flush() { active_ms_ = loop().now_ms; }
  bool flushed();

  PlaneId carrier() const { return pair_.carrier; }
  // Bytes received from `side` and sent to the other.
  std::uint64_t forwarded(Side side) const;
  // Gives back all borrowed resources. Both sockets are still open.
  void release();

 private:
  std::optional<Event> on_gated(const Completion& completion);
  Event on_buffer(Side side, const Completion& completion);
  Event on_buffer_sent(Side side, const Completion& completion);
  // Without waiting for room.
  std::optional<Event> send_now(Side side);
  std::optional<Event> counted(Side side, std::optional<Event> event, std::uint64_t sent_before);
  bool is_tcp_backend() const { return place_.flow.record.backend_address.port != 0; }
  // Whether planes may take the pair: what they move cannot be sent to another backend.
  bool is_settled() const { return !place_.may_retreat || place_.session.spoken(); }
  void progress() {
    if (!is_settled()) return;
    wanted_ = loop().planes.progress(pair_, view(), loop().now_ms) || wanted_;
  }
  PlaneView view() const;
  std::uint32_t receive_length(Side side) const;
  std::uint32_t unacknowledged() const;

  Loop& loop() const { return place_.loop; }
  int fd(Side side) const { return place_.sockets.fd(side); }
  Pipe& pipe(Side side) { return pipes_[index(side)]; }
  const Pipe& pipe(Side side) const { return pipes_[index(side)]; }
  BulkLane& lane(Side side) { return lanes_[index(side)]; }
  RoomWait& wait(Side side) { return waits_[index(side)]; }

  RelayPlace place_;
  PlanePair pair_;
  std::array<Pipe, 2> pipes_;  // By the side that each reads from.
  std::array<BulkLane, 2> lanes_{BulkLane(Side::client), BulkLane(Side::backend)};
  std::array<RoomWait, 2> waits_;
  GatedReader gated_;
  // The last receive left bytes or a FIN in the socket, for which the send after it may wait
  // (MSG_MORE).
  std::array<bool, 2> more_waiting_{};
  bool wanted_ = false;
  bool kept_alive_ = false;
  std::uint32_t last_unacknowledged_ = 0;
  std::uint64_t active_ms_;     // When bytes last moved, or a flush began.
  std::uint64_t header_bytes_;  // Of our own, before the client's first byte.
  Flight flight_;               // Until the backend has it.
};

}  // namespace sni
