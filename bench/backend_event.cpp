// The event-driven backend: one thread, one epoll instance, and no blocking call except epoll
// itself. It is level-triggered and waits for writability only after a short write, like nginx.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <unordered_map>

#include "bench/backend.h"
#include "bench/clock.h"
#include "bench/pattern.h"
#include "bench/poller.h"

namespace sni::bench {
namespace {

// Chunks that one stream may move before the others have their turn.
constexpr int turns_max = 4;
// How often a sink's client is asked whether it has stopped.
constexpr std::uint64_t sink_check_ns = 2 * millisecond_ns;

struct Peer {
  UniqueFd fd;
  Opening opening;
  bool serving = false;
  std::vector<std::byte> message;  // echo: the message that is being received or sent.
  std::size_t filled = 0;          // Bytes of it received.
  std::size_t written = 0;         // Bytes of it sent, once it is complete.
  PatternReader in;
  PatternCursor out;
  Pace pace;
  std::uint64_t sent = 0;
  bool writing = false;  // EPOLLOUT is armed.
};

class EventBackend {
 public:
  EventBackend(std::span<const UniqueFd> listeners, Ledger& ledger)
      : listeners_(listeners), ledger_(ledger), scratch_(chunk_max) {}

  [[noreturn]] void run() {
    for (const UniqueFd& listener : listeners_) poller_.add(listener.get(), EPOLLIN);
    for (;;) {
      for (const epoll_event& event : poller_.wait(next_due_)) on_event(event);
      run_due();
    }
  }

 private:
  enum class Fate : std::uint8_t { keep, close };

  void on_event(const epoll_event& event) {
    const int fd = event.data.fd;
    for (const UniqueFd& listener : listeners_) {
      if (listener.get() == fd) return on_accept(fd);
    }
    const auto found = peers_.find(fd);
    if (found == peers_.end()) return;
    Peer& peer = *found->second;
    Fate fate = Fate::keep;
    if (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) fate = on_readable(peer);
    if (fate == Fate::keep && event.events & EPOLLOUT) fate = on_writable(peer);
    if (fate == Fate::close) close_peer(peer);
  }

  void close_peer(Peer& peer) {
    if (peer.serving && peer.opening.command().op == Op::stream) {
      ledger_[peer.opening.command().slot].done = 1;
    }
    std::erase(paced_, &peer);
    std::erase(sinks_, &peer);
    peers_.erase(peer.fd.get());
  }

  void on_accept(int listener) {
    // Several per wake-up: under load the queue holds more than one.
    for (int i = 0; i < 16; ++i) {
      UniqueFd fd =
          UniqueFd::adopt(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) return;
      no_delay(fd.get());
      auto peer = std::make_unique<Peer>();
      const int key = fd.get();
      peer->fd = std::move(fd);
      Peer& added = *(peers_[key] = std::move(peer));
      poller_.add(key, EPOLLIN);
      // The hello is often there already.
      if (on_readable(added) == Fate::close) close_peer(added);
    }
  }

  Fate on_readable(Peer& peer) {
    if (!peer.serving) return on_opening(peer);
    switch (peer.opening.command().op) {
      case Op::echo:
        return on_echo(peer);
      case Op::stream:
        return on_sink(peer);
      case Op::answer:
      case Op::hold:
        break;
    }
    const ssize_t n = ::recv(peer.fd.get(), scratch_.data(), scratch_.size(), 0);
    return n > 0 || (n < 0 && errno == EAGAIN) ? Fate::keep : Fate::close;
  }

  Fate on_opening(Peer& peer) {
    for (;;) {
      const std::size_t wanted = std::min(peer.opening.wanted(), scratch_.size());
      const ssize_t n = ::recv(peer.fd.get(), scratch_.data(), wanted, 0);
      if (n < 0 && errno == EAGAIN) return Fate::keep;
      if (n <= 0) return Fate::close;
      switch (peer.opening.append(std::span(scratch_).first(static_cast<std::size_t>(n)))) {
        case Opening::State::incomplete:
          continue;
        case Opening::State::broken:
          return Fate::close;
        case Opening::State::complete:
          peer.serving = true;
          return start(peer);
      }
    }
  }

  Fate start(Peer& peer) {
    const Command& command = peer.opening.command();
    peer.in = PatternReader(command.slot);
    peer.out = PatternCursor(command.slot);
    switch (command.op) {
      case Op::echo:
        peer.message.resize(std::max<std::size_t>(command.message_bytes, 1));
        return Fate::keep;
      case Op::answer: {
        const auto answer = peer.out.peek(command.message_bytes);
        ::send(peer.fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
        return Fate::close;
      }
      case Op::hold:
        ::send(peer.fd.get(), "+", 1, MSG_NOSIGNAL);
        return Fate::keep;
      case Op::stream:
        if (command.source == 0) {
          wake_at(peer.fd.get(), bulk_wake_bytes);
          sinks_.push_back(&peer);
          return Fate::keep;
        }
        peer.pace = {.bytes_per_second = command.bytes_per_second, .start_ns = now_ns()};
        if (command.bytes_per_second != 0) {
          paced_.push_back(&peer);
          next_due_ = now_ns();
          return Fate::keep;
        }
        return on_source(peer);
    }
    return Fate::close;
  }

  Fate on_echo(Peer& peer) {
    if (peer.filled == peer.message.size()) return Fate::keep;  // The answer is still on its way.
    const ssize_t n = ::recv(peer.fd.get(), peer.message.data() + peer.filled,
                             peer.message.size() - peer.filled, 0);
    if (n <= 0) return n < 0 && errno == EAGAIN ? Fate::keep : Fate::close;
    peer.filled += static_cast<std::size_t>(n);
    return peer.filled == peer.message.size() ? send_echo(peer) : Fate::keep;
  }

  Fate send_echo(Peer& peer) {
    const ssize_t n = ::send(peer.fd.get(), peer.message.data() + peer.written,
                             peer.message.size() - peer.written, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return Fate::close;
    if (n > 0) peer.written += static_cast<std::size_t>(n);
    const bool complete = peer.written == peer.message.size();
    if (complete) peer.filled = peer.written = 0;
    want_writable(peer, !complete);
    return Fate::keep;
  }

  Fate on_sink(Peer& peer) {
    LedgerSlot& slot = ledger_[peer.opening.command().slot];
    for (int turn = 0; turn < turns_max; ++turn) {
      const ssize_t n = peer.in.receive(peer.fd.get(), scratch_, look_at(slot));
      if (n <= 0) return n < 0 && errno == EAGAIN ? Fate::keep : Fate::close;
      const auto length = static_cast<std::size_t>(n);
      if (!peer.in.intact()) slot.corrupt = 1;
      slot.received += length;
      if (length < scratch_.size()) return Fate::keep;
    }
    return Fate::keep;
  }

  Fate on_writable(Peer& peer) {
    return peer.opening.command().op == Op::echo ? send_echo(peer) : on_source(peer);
  }

  Fate on_source(Peer& peer) {
    const Command& command = peer.opening.command();
    LedgerSlot& slot = ledger_[command.slot];
    for (int turn = 0; turn < turns_max; ++turn) {
      std::uint64_t due = std::min(peer.pace.due(now_ns()) - peer.sent, std::uint64_t{chunk_max});
      if (command.bytes_max != 0) due = std::min(due, command.bytes_max - peer.sent);
      if (slot.stop != 0 || (command.bytes_max != 0 && due == 0)) {
        slot.done = 1;
        std::erase(paced_, &peer);
        want_writable(peer, false);
        return Fate::keep;
      }
      // A paced stream sends in equal steps, so that it does not wake for a few bytes.
      if (command.bytes_per_second != 0 && due < pace_bytes) {
        want_writable(peer, false);
        return Fate::keep;
      }
      const auto bytes = peer.out.peek(due);
      const ssize_t n = ::send(peer.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return Fate::close;
      if (n > 0) {
        peer.out.advance(static_cast<std::size_t>(n));
        peer.sent += static_cast<std::uint64_t>(n);
        slot.sent = peer.sent;
      }
      if (n < static_cast<ssize_t>(bytes.size())) break;
    }
    want_writable(peer, true);
    return Fate::keep;
  }

  // Handles timers: sends the due bytes of each paced stream that is not waiting for its socket,
  // and wakes each sink whose client has stopped for the rest, however little.
  void run_due() {
    next_due_ = sinks_.empty() ? UINT64_MAX : now_ns() + sink_check_ns;
    std::erase_if(sinks_, [&](const Peer* peer) {
      if (ledger_[peer->opening.command().slot].stop == 0) return false;
      wake_at(peer->fd.get(), 1);
      return true;
    });
    for (Peer* peer : std::vector(paced_)) {
      if (!peer->writing && on_source(*peer) == Fate::close) {
        close_peer(*peer);
        continue;
      }
      if (!peer->writing) next_due_ = std::min(next_due_, peer->pace.when(peer->sent + pace_bytes));
    }
  }

  void want_writable(Peer& peer, bool wanted) {
    if (peer.writing == wanted) return;
    peer.writing = wanted;
    poller_.modify(peer.fd.get(), wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  std::span<const UniqueFd> listeners_;
  Ledger& ledger_;
  std::vector<std::byte> scratch_;
  Poller poller_;
  std::unordered_map<int, std::unique_ptr<Peer>> peers_;
  std::vector<Peer*> paced_;
  std::vector<Peer*> sinks_;             // Woken only for bulk_wake_bytes.
  std::uint64_t next_due_ = UINT64_MAX;  // When run_due() has something to do.
};

}  // namespace

void serve_events(std::span<const UniqueFd> listeners, Ledger& ledger) {
  EventBackend(listeners, ledger).run();
}

}  // namespace sni::bench
