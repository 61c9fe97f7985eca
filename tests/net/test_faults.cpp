// Workers whose system calls and ring requests fail at random (support/faults.h), between healthy
// clients and a healthy backend. A fault that only delays must lose no byte. A fatal fault may end
// the connection that it hits, but no other. In all cases nothing is left over.
//
// A seed determines each run: SNI_FAULT_SEED=n begins there, SNI_FAULT_RUNS=n makes so many runs,
// and also enables the search for fatal faults that harm other connections.

#include <doctest/doctest.h>
#include <poll.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "support/echo_backend.h"
#include "support/faults.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr unsigned clients_at_once = 4;
constexpr unsigned turns = 6;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

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

std::string text(const std::map<std::string, std::string>& open) {
  std::string all;
  for (const auto& [number, target] : open) all += number + " " + target + "; ";
  return all;
}

enum class Leaves : std::uint8_t { after_fin, by_reset };

// One client: it sends and reads the echo at the same time, and closes.
struct Exchange {
  Bytes sent;
  Bytes got;
  bool whole = false;  // Everything came back, and then a FIN.

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
      if (poll(&wait, 1, 20'000) != 1) throw std::runtime_error("nothing moves for 20 s");
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
  std::atomic<unsigned> torn{0};  // Wrong or reordered bytes.
  std::atomic<unsigned> hung{0};
};

void visit(const Endpoint& proxy, std::uint64_t seed, bool resets, Tally& tally) {
  std::mt19937_64 random(seed);
  constexpr std::array<std::size_t, 5> sizes{0, 100, 20'000, 400'000, 3'000'000};
  for (unsigned turn = 0; turn < turns; ++turn) {
    Exchange exchange;
    exchange.sent = hello_for("a.example");
    const Bytes more = pattern(sizes[random() % sizes.size()], random() % 1000);
    exchange.sent.insert(exchange.sent.end(), more.begin(), more.end());
    const bool resets_now = resets && random() % 4 == 0;
    try {
      exchange.run(proxy, resets_now ? Leaves::by_reset : Leaves::after_fin);
    } catch (const std::exception&) {
      ++tally.hung;
    }
    if (!exchange.refused() && !exchange.prefix()) ++tally.torn;
    tally.whole += exchange.whole ? 1 : 0;
  }
}

// One run. Afterwards nothing is left of it, whatever was injected.
void run(FaultPlan plan, bool resets, Tally& tally) {
  const std::string descriptors = text(open_descriptors());
  {
    const Faults faults(plan);
    EchoBackend backend;
    WorkerHarness proxy(config_for(backend.endpoint()), 1 + plan.seed % 2);
    proxy.start();
    std::vector<std::jthread> clients;
    for (unsigned i = 0; i < clients_at_once; ++i) {
      clients.emplace_back([&, i] { visit(proxy.endpoint(), plan.seed * 100 + i, resets, tally); });
    }
    clients.clear();
    CHECK(proxy.becomes_empty());
    proxy.tell_drain();
    CHECK(proxy.ends());
    CHECK_FALSE(proxy.worker().failure());
  }
  CHECK(text(open_descriptors()) == descriptors);
}

FaultPlan delays(std::uint64_t seed) {
  FaultPlan plan{.seed = seed};
  for (const Fault fault : {Fault::receive_again, Fault::receive_short, Fault::send_again,
                            Fault::send_short, Fault::poll, Fault::accept, Fault::pipe,
                            Fault::splice_again, Fault::splice_short, Fault::submit}) {
    plan.rate(fault) = 50;
  }
  return plan;
}

// Calls `each` with the seeds of this run of the test.
void with_seeds(std::uint64_t runs, const std::function<void(std::uint64_t seed)>& each) {
  const std::uint64_t first = number_from("SNI_FAULT_SEED", 1);
  const std::uint64_t last = first + number_from("SNI_FAULT_RUNS", runs);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    CAPTURE(seed);
    each(seed);
  }
}

}  // namespace

TEST_CASE("calls that have to be tried again, and short ones, cost no byte") {
  with_seeds(4, [](std::uint64_t seed) {
    Tally tally;
    run(delays(seed), false, tally);
    CHECK(tally.whole == clients_at_once * turns);
    CHECK(tally.torn == 0);
    CHECK(tally.hung == 0);
  });
}

TEST_CASE("completions that overflow their queue cost no byte") {
  with_seeds(2, [](std::uint64_t seed) {
    FaultPlan plan{.ring_entries = 2, .seed = seed};
    plan.rate(Fault::submit) = 50;
    Tally tally;
    run(plan, false, tally);
    CHECK(tally.whole == clients_at_once * turns);
    CHECK(tally.torn == 0);
    CHECK(tally.hung == 0);
  });
}

TEST_CASE("without pipes everything is relayed by buffers") {
  FaultPlan plan{.seed = 1};
  plan.rate(Fault::pipe) = 1000;
  Tally tally;
  run(plan, false, tally);
  CHECK(Faults::injected(Fault::pipe) > 0);
  CHECK(tally.whole == clients_at_once * turns);
}

TEST_CASE("calls that kill connections, amid resets, tear no stream and leave nothing behind") {
  if (std::getenv("SNI_FAULT_RUNS") == nullptr) return;  // A search that only runs on request.
  with_seeds(1, [](std::uint64_t seed) {
    FaultPlan plan = delays(seed);
    for (const Fault fault : {Fault::receive_dies, Fault::send_dies, Fault::connect, Fault::socket,
                              Fault::splice_dies}) {
      plan.rate(fault) = 20;
    }
    if (seed % 3 == 0) plan.ring_entries = 4;
    Tally tally;
    run(plan, true, tally);
    CHECK(tally.torn == 0);
    CHECK(tally.hung == 0);
  });
}
