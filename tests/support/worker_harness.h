#pragma once

// Workers on loopback without the main thread's part: the test opens and hands over listening
// sockets, reloads, drains and stops. Listeners get their ports before the workers start, so that
// clients can already wait in the backlog.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/server/worker.h"
#include "net/socket.h"
#include "support/client_hello_builder.h"
#include "support/reserved_port.h"
#include "support/tcp_peer.h"

namespace sni::test {

// Waits until `reached`; false: not in time.
inline bool eventually(const std::function<bool()>& reached) {
  const auto give_up = std::chrono::steady_clock::now() + wait_limit;
  while (!reached()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// The worker runs in this process: its socket with this peer, or -1.
inline int socket_to(const Endpoint& peer) {
  for (int fd = 0; fd < 1024; ++fd) {
    if (peer_of(fd) == peer) return fd;
  }
  return -1;
}

inline ListenerConfig listener_named(std::string name, Protocol protocol = Protocol::tls) {
  return {.name = std::move(name), .address = loopback(0), .protocol = protocol};
}

inline Backend backend_at(const Endpoint& endpoint) {
  Backend backend;
  backend.endpoint = endpoint;
  backend.text = endpoint.to_string();
  return backend;
}

// One listener "main", from which every name goes to the backends in order. Nothing times out
// during a test.
inline Config config_for(std::vector<Backend> backends, Protocol protocol = Protocol::tls) {
  constexpr std::chrono::hours never{1};
  Config config;
  config.listeners = {listener_named("main", protocol)};
  RouteConfig& route = config.routes.emplace_back();
  route.names = {"*"};
  route.backends = std::move(backends);
  route.listeners = {"main"};
  config.timeouts = {
      .hello = never, .connect = never, .idle = never, .half_closed = never, .drain = never};
  return config;
}
inline Config config_for(const Endpoint& backend, Protocol protocol = Protocol::tls) {
  return config_for(std::vector{backend_at(backend)}, protocol);
}

inline Bytes hello_for(std::string_view name) {
  return ClientHelloBuilder().server_name(name).wire();
}

class WorkerHarness {
 public:
  explicit WorkerHarness(Config config, unsigned workers = 1)
      : listeners_(workers), workers_(workers) {
    batches_ = prepare(std::move(config));
  }
  ~WorkerHarness() {
    tell_stop();
    for (const auto& worker : workers_) {
      if (worker != nullptr) eventually([&] { return worker->ended(); });
    }
  }

  void start() {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      auto worker = Worker::start(static_cast<unsigned>(i), shared_, std::move(batches_[i]));
      if (!worker) throw std::runtime_error(worker.error().what);
      workers_[i] = std::move(*worker);
    }
  }
  // Listeners that `config` still names keep their sockets.
  void reload(Config config) {
    prepare_reload(std::move(config));
    tell_reload();
  }
  // Its two steps; the first one needs descriptors.
  void prepare_reload(Config config) { batches_ = prepare(std::move(config)); }
  void tell_reload() {
    for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i]->tell(std::move(batches_[i]));
  }
  void tell_drain() {
    listeners_.retire_all();
    for (const auto& worker : workers_) worker->tell(Drain{});
  }
  void tell_stop() {
    listeners_.retire_all();
    for (const auto& worker : workers_) {
      if (worker != nullptr) worker->tell(Stop{});
    }
  }
  bool ends() {
    return eventually([this] {
      for (const auto& worker : workers_) {
        if (!worker->ended()) return false;
      }
      return true;
    });
  }

  Endpoint endpoint(const std::string& listener = "main") const {
    return reserved_.at(listener).endpoint();
  }
  TcpPeer connect(const TcpOptions& options = {}) { return TcpPeer::connect(endpoint(), options); }
  // A client that has sent a hello for `name`.
  TcpPeer connect_to(std::string_view name, const TcpOptions& options = {}) {
    TcpPeer client = connect(options);
    client.send(hello_for(name));
    return client;
  }

  Shared& shared() { return shared_; }
  Worker& worker(std::size_t i = 0) { return *workers_[i]; }
  std::uint64_t sum(const std::function<const Counter&(const Counters&)>& counter) const {
    std::uint64_t total = 0;
    for (const auto& worker : workers_) total += counter(worker->counters()).value();
    return total;
  }
  std::uint64_t accepted() const {
    return sum([](const Counters& counters) -> auto& { return counters.accepted; });
  }
  std::uint64_t ended(EndReason reason) const {
    return sum([reason](const Counters& counters) -> auto& {
      return counters.ended[static_cast<std::size_t>(reason)];
    });
  }
  std::uint64_t refused(Refusal refusal) const {
    return sum([refusal](const Counters& counters) -> auto& {
      return counters.refused[static_cast<std::size_t>(refusal)];
    });
  }
  // All gauges have returned to zero.
  bool becomes_empty() {
    return eventually([this] {
      return shared_.connections.load() == 0 && shared_.pending_hellos.load() == 0 &&
             shared_.relay_memory.used() == 0 && shared_.flights.used.load() == 0;
    });
  }

 private:
  std::vector<NewListeners> prepare(Config config) {
    std::erase_if(reserved_, [&](const auto& running) {
      return std::ranges::none_of(config.listeners,
                                  [&](const auto& wanted) { return wanted.name == running.first; });
    });
    for (ListenerConfig& listener : config.listeners) {
      listener.address =
          reserved_.try_emplace(listener.name, listener.address).first->second.endpoint();
    }
    auto change = listeners_.prepare(config);
    if (!change) throw std::runtime_error(change.error().what);
    listeners_.commit(std::move(*change));
    auto snapshot = make_snapshot(std::move(config), backends_);
    if (!snapshot) throw std::runtime_error(snapshot.error().what);
    std::vector<NewListeners> batches;
    for (unsigned i = 0; i < workers_.size(); ++i) {
      batches.push_back({.snapshot = *snapshot, .listeners = listeners_.lend(i)});
    }
    return batches;
  }

  std::map<std::string, ReservedPort> reserved_;
  BackendTable backends_;
  Shared shared_;
  ListenerSet listeners_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<NewListeners> batches_;
};

}  // namespace sni::test
