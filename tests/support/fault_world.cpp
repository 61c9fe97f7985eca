#include "support/fault_world.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include "support/echo_backend.h"
#include "support/worker_harness.h"

namespace sni::test {

namespace {

// Below the time that a fuzzer gives to an input (tests/fuzz/CMakeLists.txt).
constexpr int turn_limit_ms = 10'000;

// Descriptors by number, and what each refers to.
std::map<std::string, std::string> open_descriptors() {
  std::map<std::string, std::string> open;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // The one that lists them.
    const auto target = std::filesystem::read_symlink(each.path(), gone);
    if (!gone) open[each.path().filename()] = target;
  }
  return open;
}

std::string opened_since(const std::map<std::string, std::string>& before) {
  std::string all;
  for (const auto& [number, target] : open_descriptors()) {
    const auto known = before.find(number);
    if (known == before.end() || known->second != target) all += number + " " + target + "; ";
  }
  return all;
}

// The bytes of one turn.
struct Exchange {
  Bytes sent;
  Bytes got;
  bool whole = false;

  // An alert instead: the backend was not reached.
  bool refused() const { return !got.empty() && got.front() == 0x15; }
  bool prefix() const {
    return got.size() <= sent.size() && std::equal(got.begin(), got.end(), sent.begin());
  }

  void run(const Endpoint& proxy, Leaves leaves) {
    TcpPeer peer = TcpPeer::connect(proxy);
    std::size_t unsent_from = 0;
    for (Bytes part(1 << 16);;) {
      const bool all_sent = unsent_from == sent.size();
      if (leaves == Leaves::by_reset && unsent_from >= sent.size() / 2) return peer.send_reset();
      const short events = all_sent ? POLLIN : POLLIN | POLLOUT;
      pollfd wait{.fd = peer.fd(), .events = events, .revents = 0};
      if (poll(&wait, 1, turn_limit_ms) != 1) throw std::runtime_error("nothing moves");
      if ((wait.revents & POLLOUT) != 0 && !all_sent) {
        const ssize_t n = ::send(peer.fd(), sent.data() + unsent_from, sent.size() - unsent_from,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return;
        if (n > 0) unsent_from += static_cast<std::size_t>(n);
        if (unsent_from == sent.size()) shutdown(peer.fd(), SHUT_WR);
      }
      if ((wait.revents & ~POLLOUT) == 0) continue;
      const ssize_t n = recv(peer.fd(), part.data(), part.size(), MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) continue;
      if (n > 0) got.insert(got.end(), part.begin(), part.begin() + n);
      if (n == 0) whole = got == sent;
      if (n <= 0) return;
    }
  }
};

struct Tally {
  std::atomic<unsigned> whole{0};
  std::atomic<unsigned> torn{0};
  std::atomic<unsigned> hung{0};
};

void visit(const Endpoint& proxy, const std::vector<Turn>& turns, Tally& tally) {
  for (const Turn& turn : turns) {
    Exchange exchange;
    exchange.sent = hello_for("a.example");
    const Bytes more = pattern(turn.size, turn.kind);
    exchange.sent.insert(exchange.sent.end(), more.begin(), more.end());
    try {
      exchange.run(proxy, turn.leaves);
    } catch (const std::exception&) {
      ++tally.hung;
    }
    if (!exchange.refused() && !exchange.prefix()) ++tally.torn;
    tally.whole += exchange.whole ? 1 : 0;
  }
}

}  // namespace

FaultOutcome run_with_faults(const FaultRun& wanted) {
  std::signal(SIGPIPE, SIG_IGN);  // As in tests/main.cpp, for the fuzzer.
  const auto descriptors = open_descriptors();
  FaultOutcome outcome;
  {
    const Faults faults(wanted.plan);
    EchoBackend backend;
    WorkerHarness proxy(config_for(backend.endpoint()), wanted.workers);
    proxy.start();
    Tally tally;
    std::vector<std::jthread> clients;
    for (const auto& turns : wanted.clients) {
      clients.emplace_back([&] { visit(proxy.endpoint(), turns, tally); });
    }
    clients.clear();
    outcome = {.whole = tally.whole, .torn = tally.torn, .hung = tally.hung};
    outcome.empty = proxy.becomes_empty();
    proxy.tell_drain();
    outcome.drained = proxy.ends();
    for (unsigned i = 0; i < wanted.workers; ++i) {
      outcome.failed |= proxy.worker(i).failure().has_value();
    }
  }
  outcome.left_open = opened_since(descriptors);
  return outcome;
}

}  // namespace sni::test
