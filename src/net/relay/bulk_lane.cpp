#include "net/relay/bulk_lane.h"

#include <poll.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <utility>

#include "net/loop/transfer_event.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

namespace {

// Less room than this in the send buffer is not worth a call; a poll waits for more. The room at
// that poll (a third of the buffer, tcp_poll) is used even if it is small.
constexpr std::uint32_t room_worth_a_call = 16 * 1024;
constexpr std::uint32_t any_room = 1;

}  // namespace

bool BulkLane::start_receive(Loop& loop, const Sockets& sockets, bool allowed) {
  armed_ = gauge_.bulk() && allowed;
  raise_mark(sockets, armed_ && gauge_.raises_mark() && loop.splices.full_size());
  if (!armed_) return false;
  if (!std::exchange(waits_bounded_, true)) {
    bound_splice_waits(sockets.fd(Side::client));
    bound_splice_waits(sockets.fd(Side::backend));
  }
  if (raised_) {
    since_ms_ = loop.now_ms;
    if (!std::exchange(queued_, true)) {
      loop.low_water.add({.slot = sockets.slot, .generation = sockets.generation, .side = side_},
                         loop.now_ms);
    }
  }
  loop.ring.poll(sockets.fd(side_), POLLIN, sockets.tag(Op::receive, side_));
  return true;
}

void BulkLane::raise_mark(const Sockets& sockets, bool raised) {
  if (std::exchange(raised_, raised) == raised) return;
  set_low_water(sockets.fd(side_), raised ? static_cast<int>(limits::low_water_bytes) : 1);
}

std::optional<std::uint64_t> BulkLane::on_low_water_due(const Loop& loop, const Sockets& sockets) {
  const bool waits = raised_ && armed_;
  if (waits && loop.now_ms < since_ms_ + LowWaterQueue::wait_ms) return since_ms_;
  queued_ = false;
  if (waits) {
    gauge_.waited_in_vain();
    raise_mark(sockets, false);
  }
  return std::nullopt;
}

// If no pipe is free, the one whose reader has stalled for longest is emptied into memory.
std::unique_ptr<Splice> BulkLane::borrow(Loop& loop, std::uint64_t relay_memory) {
  if (auto splice = loop.splices.borrow(relay_memory)) return splice;
  auto* longest = static_cast<BulkLane*>(loop.splices.longest_stalled(loop.now_ms));
  if (longest == nullptr || !longest->evict(loop, relay_memory)) return nullptr;
  return loop.splices.borrow(relay_memory);
}

bool BulkLane::evict(Loop& loop, std::uint64_t relay_memory) {
  const auto parked = loop.parking.reserve(owner_, splice_->held(), relay_memory);
  if (!parked) return false;
  splice_->take_all({(*parked)->data.get(), (*parked)->length});
  pipe_->hold(*parked);
  release(loop);
  loop.counters.splices_evicted.add();
  if (loop.splices.tell_eviction()) {
    spdlog::info(
        "readers that stall hold all kernel pipes for bulk: the longest-stalled ones go on from "
        "memory (told once; splices_evicted counts)");
  }
  return true;
}

Event BulkLane::on_readable(Loop& loop, const Sockets& sockets, Pipe& pipe,
                            std::uint64_t relay_memory, const Completion& completion) {
  armed_ = false;
  if (completion.result == -ECANCELED) return *event_of_receive(side_, completion.result);
  splice_ = borrow(loop, relay_memory);
  pipe_ = &pipe;
  owner_ = {.slot = sockets.slot, .generation = sockets.generation};
  const ssize_t n = splice_ == nullptr ? 0 : splice_->fill(sockets.fd(side_));
  if (n <= 0) release(loop);
  // No pipe, or the end; or urgent data, at which splice() stops as at the end (tcp_splice_read)
  // and which an ordinary receive skips.
  if (n == 0) {
    gauge_.refuse();
    return {.kind = Kind::receive_again, .side = side_};
  }
  if (const auto event = event_of_receive(side_, static_cast<std::int32_t>(n))) return *event;
  gauge_.moved(static_cast<std::uint32_t>(n), loop.now_ms);
  return {.kind = Kind::received, .side = side_};
}

Event BulkLane::send(Loop& loop, const Sockets& sockets, Pipe& pipe) {
  const ssize_t n =
      splice_->drain(sockets.fd(other(side_)), stalled_ ? any_room : room_worth_a_call);
  if (n > 0) {
    pipe.count_sent(static_cast<std::uint64_t>(n));
    loop.splices.moved(*this);
  }
  stalled_ = splice_->held() > 0;
  if (!stalled_) {
    release(loop);
    return {.kind = Kind::sent, .side = side_};
  }
  const Event event = event_of_send(side_, static_cast<std::int32_t>(n))
                          .value_or(Event{.kind = Kind::blocked, .side = side_});
  if (event.kind == Kind::blocked) {
    loop.counters.readers_stalled.add();
    loop.splices.stalled(*this, loop.now_ms);
  } else {
    release(loop);
  }
  return event;
}

void BulkLane::release(Loop& loop) {
  stalled_ = false;
  loop.splices.moved(*this);
  if (splice_ != nullptr) loop.splices.give_back(std::move(splice_));
}

}  // namespace sni
