// The load generator against the bench's own backends, over loopback, directly and through a relay
// that behaves like a broken proxy.

#include "bench/load.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <thread>

#include "bench/backend.h"
#include "bench/clock.h"
#include "bench/hello.h"
#include "bench/process.h"

using namespace sni::bench;

namespace {

constexpr Timing brief{.warmup_s = 0.02, .window_s = 0.1};

in_addr loopback() {
  return {htonl(INADDR_LOOPBACK)};
}

sockaddr_in local_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr = loopback();
  address.sin_port = htons(port);
  return address;
}

std::uint16_t port_of(const sni::UniqueFd& listener) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

// A backend in a child process, as in a run.
class World {
 public:
  explicit World(BackendStyle style) : ledger_(*Ledger::create()) {
    auto listeners = listen_on(loopback(), 0, 1);
    REQUIRE(listeners.has_value());
    auto child = Child::call(-1, [&] {
      style == BackendStyle::event ? serve_events(*listeners, ledger_)
                                   : serve_blocking(*listeners, ledger_);
    });
    REQUIRE(child.has_value());
    backend_ = std::move(*child);
    backend_port_ = port_of(listeners->front());
  }

  std::uint16_t backend_port() const { return backend_port_; }

  Target target(std::uint16_t port) {
    Target target;
    target.addresses = {local_address(port)};
    target.hellos = {client_hello("s0.bench.example")};
    target.sources = {loopback()};
    target.ledger = &ledger_;
    return target;
  }
  Target target() { return target(backend_port_); }

 private:
  Ledger ledger_;
  Child backend_;
  std::uint16_t backend_port_ = 0;
};

// Relays connections one after the other in a thread. `meddle` gets every piece with its direction
// and offset, and returns how many of its bytes are forwarded; negative: close both sides.
class Relay {
 public:
  using Meddle = std::function<ssize_t(bool down, std::uint64_t offset, std::span<char> bytes)>;

  Relay(std::uint16_t backend_port, Meddle meddle)
      : listeners_(*listen_on(loopback(), 0, 1)),
        backend_port_(backend_port),
        meddle_(std::move(meddle)) {
    thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
  }
  std::uint16_t port() const { return port_of(listeners_.front()); }

 private:
  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd waiting{.fd = listeners_.front().get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 10) != 1) continue;
      const sni::UniqueFd client =
          sni::UniqueFd::adopt(::accept(listeners_.front().get(), nullptr, nullptr));
      const sni::UniqueFd backend = sni::UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM, 0));
      const sockaddr_in address = local_address(backend_port_);
      if (::connect(backend.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
          0) {
        relay(client.get(), backend.get(), stop);
      }
    }
  }

  void relay(int client, int backend, const std::stop_token& stop) {
    std::uint64_t offsets[2] = {0, 0};
    std::vector<char> buffer(64 * 1024);
    while (!stop.stop_requested()) {
      pollfd ends[2] = {{.fd = client, .events = POLLIN, .revents = 0},
                        {.fd = backend, .events = POLLIN, .revents = 0}};
      ::poll(ends, 2, 10);
      for (const int from : {0, 1}) {
        if (ends[from].revents == 0) continue;
        const ssize_t n = ::recv(ends[from].fd, buffer.data(), buffer.size(), 0);
        if (n <= 0) return;
        const auto length = static_cast<std::size_t>(n);
        const ssize_t kept = meddle_(from == 1, offsets[from], std::span(buffer).first(length));
        offsets[from] += length;
        if (kept < 0) return;
        ::send(ends[1 - from].fd, buffer.data(), static_cast<std::size_t>(kept), MSG_NOSIGNAL);
      }
    }
  }

  std::vector<sni::UniqueFd> listeners_;
  std::uint16_t backend_port_;
  Meddle meddle_;
  std::jthread thread_;
};

constexpr std::uint64_t meddle_from = 4096;  // Bytes: after the opening.

ssize_t pass(bool, std::uint64_t, std::span<char> bytes) {
  return std::ssize(bytes);
}

// On a machine that is busy with other things a short window can pass with nothing done in it.
Outcome until_it_moves(const std::string& value, const std::function<Outcome(Timing)>& load) {
  Timing timing = brief;
  for (;; timing.window_s *= 2) {  // NOLINT(cert-flp30-c): powers of two are exact.
    Outcome outcome = load(timing);
    if (outcome.values[value] > 0 || !outcome.faults.empty() || timing.window_s > 10)
      return outcome;
  }
}

}  // namespace

TEST_CASE("every load runs against both styles of backend and loses nothing") {
  for (const BackendStyle style : {BackendStyle::event, BackendStyle::blocking}) {
    CAPTURE(static_cast<int>(style));
    World world(style);
    const Target target = world.target();
    for (const std::uint32_t connections : {1u, 16u}) {
      const Outcome small = until_it_moves("rate", [&](const Timing& timing) {
        return load_ping_pong(target, timing, connections, 64);
      });
      CHECK(small.faults == std::vector<std::string>{});
      CHECK(small.values.at("rate") > 0);
      CHECK_FALSE(small.latency.empty());
      CHECK(load_ping_pong(target, brief, connections, 4096).faults.empty());
    }
    const Outcome scheduled = load_schedule(target, brief, 8, 64, 1000);
    CHECK(scheduled.faults == std::vector<std::string>{});
    for (const auto& [down, up] : {std::pair{true, false}, {false, true}, {true, true}}) {
      const Outcome bulk =
          until_it_moves(down ? "down_gbit_s" : "up_gbit_s", [&](const Timing& timing) {
            return load_bulk(target, timing,
                             {.connections = 3, .down = down, .up = up, .bytes_per_second = 0});
          });
      CHECK(bulk.faults == std::vector<std::string>{});
      CHECK((bulk.values.at("down_gbit_s") > 0 || !down));
      CHECK((bulk.values.at("up_gbit_s") > 0 || down));
    }
    const Outcome fresh = until_it_moves(
        "connections", [&](const Timing& timing) { return load_connections(target, timing, 8); });
    CHECK(fresh.faults == std::vector<std::string>{});
    CHECK(fresh.values.at("connections") > 0);
    CHECK(load_idle(target, 20).faults == std::vector<std::string>{});
    const Outcome stalled = until_it_moves("bytes", [&](const Timing& timing) {
      return load_stalled(target, 3 * timing.window_s, 64 << 20);
    });
    CHECK(stalled.faults == std::vector<std::string>{});
    CHECK(stalled.values.at("bytes") > 0);
  }
}

TEST_CASE("a paced stream keeps to its pace where nothing hinders it") {
  World world(BackendStyle::event);
  const Outcome outcome =
      load_bulk(world.target(), {.warmup_s = 0.05, .window_s = 0.3},
                {.connections = 1, .down = true, .bytes_per_second = 20'000'000});
  CHECK(outcome.faults == std::vector<std::string>{});
  // Unpaced it would be a hundred times that; a busy machine catches up later.
  CHECK(outcome.values.at("gbit_s") <= 0.16 * 2);
}

TEST_CASE("a relay that only relays is valid") {
  World world(BackendStyle::event);
  Relay relay(world.backend_port(), pass);
  CHECK(load_bulk(world.target(relay.port()), brief, {.down = true}).faults.empty());
  CHECK(load_ping_pong(world.target(relay.port()), brief, 1, 64).faults.empty());
}

TEST_CASE("a flipped byte, to the client or to the backend, is a fault") {
  for (const bool direction : {true, false}) {
    World world(BackendStyle::event);
    Relay relay(world.backend_port(), [&](bool down, std::uint64_t offset, std::span<char> bytes) {
      if (down == direction && offset > meddle_from) bytes[bytes.size() / 2] ^= 1;
      return std::ssize(bytes);
    });
    const Outcome outcome =
        load_bulk(world.target(relay.port()), brief, {.down = direction, .up = !direction});
    REQUIRE_FALSE(outcome.faults.empty());
    CHECK(outcome.faults[0].find("differ") != std::string::npos);
  }
}

TEST_CASE("a swallowed piece is a fault") {
  World world(BackendStyle::event);
  bool swallowed = false;
  Relay relay(world.backend_port(), [&](bool down, std::uint64_t offset, std::span<char> bytes) {
    if (!down || offset < meddle_from || swallowed) return std::ssize(bytes);
    swallowed = true;
    return std::ssize(bytes) / 2;
  });
  CHECK_FALSE(load_bulk(world.target(relay.port()), brief, {.down = true}).faults.empty());
}

TEST_CASE("a connection that breaks off is a fault in every load") {
  World world(BackendStyle::event);
  const auto break_off = [](bool down, std::uint64_t, std::span<char> bytes) {
    return down ? -1 : std::ssize(bytes);
  };
  Relay relay(world.backend_port(), break_off);
  const Target target = world.target(relay.port());
  CHECK_FALSE(load_ping_pong(target, brief, 1, 64).faults.empty());
  CHECK_FALSE(load_schedule(target, brief, 1, 64, 1000).faults.empty());
  CHECK_FALSE(load_bulk(target, brief, {.down = true}).faults.empty());
  CHECK_FALSE(load_connections(target, brief, 2).faults.empty());
  CHECK_FALSE(load_idle(target, 2).faults.empty());
  CHECK_FALSE(load_stalled(target, 3, 1 << 20).faults.empty());
}

TEST_CASE("a target without a listener is a fault, not a hang") {
  World world(BackendStyle::event);
  auto gone = listen_on({htonl(INADDR_LOOPBACK)}, 0, 1);
  const std::uint16_t port = port_of(gone->front());
  gone->clear();
  const Outcome outcome = load_connections(world.target(port), brief, 4);
  REQUIRE_FALSE(outcome.faults.empty());
  CHECK(load_ping_pong(world.target(port), brief, 4, 64).faults.size() == 1);
}
