#include "bpf/packet/carrier.h"

#include <sys/socket.h>

#include <cerrno>

#include "bpf/packet/tcp_repair.h"

namespace sni {
namespace {

constexpr std::uint32_t drain_bytes = 64 * 1024;

}  // namespace

void Carrier::begin(std::uint32_t written, std::uint32_t read, std::uint32_t received) {
  owned_end_ = written;
  read_seq_ = read;
  local_seq_ = received;
}

// Reading makes room, the socket offers it before the call returns, and the end's bytes may have
// arrived by then.
std::uint32_t Carrier::room_behind(std::uint32_t read) const {
  return read + receive_room(fd_) + drain_bytes;
}

Result<void> Carrier::publish_received() {
  const auto position = read_tcp_position(fd_);
  if (!position || !is_before(local_seq_, position->received_seq)) return {};
  local_seq_ = position->received_seq;
  acknowledge_now(fd_);
  return plane_->widen(key_, flow_, local_seq_, room_behind(read_seq_));
}

Result<bool> Carrier::drain(Carrier& to) {
  bool moved = false;
  for (;;) {
    auto sent = to.send();
    if (!sent) return sent;
    if (!*sent) return true;  // The socket is full.
    auto received = receive(to);
    if (!received) return received;
    if (!*received) return moved;
    moved = true;
  }
}

// true: nothing is left to send. An end that sent bytes again may have brought all of them to the
// other one by way of the programs. That one's acknowledgements are then beyond what the socket has
// sent, which discards them and never has room again.
Result<bool> Carrier::send() {
  if (!unsent_.empty() && has_all()) unsent_.clear();
  while (!unsent_.empty()) {
    const auto sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) return false;
      return fail_sys("cannot write bytes in flight at the hand-over", errno);
    }
    unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
  }
  return true;
}

// true: there were bytes, or the FIN.
Result<bool> Carrier::receive(Carrier& to) {
  if (ended_) return false;
  to.unsent_.resize(drain_bytes);
  const auto got = ::recv(fd_, to.unsent_.data(), to.unsent_.size(), MSG_DONTWAIT);
  const int error = errno;
  to.unsent_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (got > 0) {
    read_seq_ += static_cast<std::uint32_t>(got);
    if (auto done = plane_->widen(key_, flow_, read_seq_, room_behind(read_seq_)); !done)
      return std::unexpected(done.error());
    // Set before they are sent: until the end has acknowledged all of them, its acknowledgements
    // must reach the socket, or the socket's buffer would stay full.
    to.owned_end_ += static_cast<std::uint32_t>(got);
    if (auto done = plane_->publish(to.key_, flow_, to.owned_end_); !done)
      return std::unexpected(done.error());
    return true;
  }
  if (got < 0 && error == EAGAIN) return false;
  if (got < 0) return fail_sys("cannot read bytes in flight at the hand-over", error);
  if (auto done = pass_fin(to); !done) return std::unexpected(done.error());
  return true;
}

// Passes on a FIN that reached the socket instead of the programs: our own FIN replaces it on the
// other side, with the number that it would have there.
Result<void> Carrier::pass_fin(Carrier& to) {
  ended_ = true;
  const auto entry = plane_->read(key_);
  if (!entry) return fail("a flow's entry has gone");
  if (::shutdown(to.fd_, SHUT_WR) != 0)
    return fail_sys("cannot pass a FIN on at the hand-over", errno);
  to.owned_end_ += 1;
  if (auto done = plane_->publish(to.key_, flow_, to.owned_end_); !done) return done;
  return plane_->note_fin(key_, flow_, to.owned_end_ - entry->seq_delta);
}

// The end has acknowledged all that we owe it.
bool Carrier::has_all() const {
  const auto entry = plane_->read(key_);
  return entry && !is_before(entry->ack_seen, owned_end_);
}

bool Carrier::is_done() const {
  if (!unsent_.empty() || !has_all()) return false;
  // A FIN has a number too.
  const auto position = read_tcp_position(fd_);
  return position && position->received_seq == read_seq_ + (ended_ ? 1 : 0);
}

bool Carrier::is_stalled(Clock::time_point now, std::chrono::milliseconds limit) {
  const auto entry = plane_->read(key_);
  if (!entry) return true;
  const bool owed = !unsent_.empty() || is_before(entry->ack_seen, owned_end_);
  if (!owed || entry->ack_seen != taken_ || taken_at_ == Clock::time_point{}) {
    taken_ = entry->ack_seen;
    taken_at_ = now;
  }
  return now - taken_at_ >= limit;
}

// The transition limits acknowledgements (translated_ack() in packet_rewrite.bpf.h). The end may have
// no reason to send another, and the other end would wait for its retransmission timeout.
void Carrier::release_ack(const Carrier& other) const {
  const auto entry = plane_->read(key_);
  const auto limiting = plane_->read(other.key_);
  if (!entry || !limiting) return;
  const std::uint32_t limit = limiting->local_seq + limiting->ack_room;
  if (is_before(limit, entry->ack_seen + entry->ack_delta)) prod(fd_);
}

}  // namespace sni
