#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "net/server/worker.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

namespace {

// The client's hello arrives at the backend, and the backend's answer at the client.
void check_served(TcpPeer& client, TcpListener& backend) {
  client.send(hello_for("a.example"));
  TcpPeer served = backend.accept();
  CHECK(served.receive(hello_for("a.example").size()) == hello_for("a.example"));
  served.send("served");
  CHECK(client.receive_text(6) == "served");
}

// A refused client sees the end at once.
void check_refused(WorkerHarness& proxy, Refusal refusal) {
  const std::uint64_t before = proxy.refused(refusal);
  TcpPeer client = proxy.connect();
  CHECK(client.receive_rest().bytes.empty());
  CHECK(eventually([&] { return proxy.refused(refusal) == before + 1; }));
}

Config two_listeners(const TcpListener& backend) {
  Config config = config_for(backend.endpoint());
  config.listeners.push_back(listener_named("second"));
  config.routes.front().listeners.emplace_back("second");
  return config;
}

// A low limit of descriptors, which can be used up. An armed accept uses the limit at the time when
// it was armed (io_accept_prep), so this is set before the proxy starts.
class FewDescriptors {
 public:
  FewDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{.rlim_cur = 512, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

  void use_up() {
    // UBSan opens a pipe the first time it checks a kind of object; the worker will warn.
    spdlog::warn("this test uses up {} descriptors", 512);
    for (int fd = dup(STDERR_FILENO); fd >= 0; fd = dup(STDERR_FILENO)) {
      used_.push_back(UniqueFd::adopt(fd));
    }
  }
  void give_back() { used_.clear(); }

 private:
  rlimit before_{};
  std::vector<UniqueFd> used_;
};

// How long the proxy's end of a connection is idle before the system sends a keepalive probe.
std::chrono::seconds user_timeout_of(const TcpPeer& client) {
  int seconds = 0;
  socklen_t length = sizeof seconds;
  check_call(
      getsockopt(socket_to(client.local()), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, &length) == 0,
      "TCP_KEEPIDLE");
  return std::chrono::seconds(seconds);
}

// Whether the worker has run out of descriptors.
bool accepting_pauses(WorkerHarness& proxy) {
  return eventually([&] {
    return proxy.sum([](const Counters& counters) -> auto& { return counters.accept_errors; }) > 0;
  });
}

void connect_to(int fd, const Endpoint& endpoint) {
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr(endpoint, address);
  check_call(::connect(fd, reinterpret_cast<sockaddr*>(&address), length) == 0, "connect");
}

}  // namespace

TEST_CASE("limits.connections refuses who comes beyond it, and takes the next when one has gone") {
  TcpListener backend;
  Config config = config_for(backend.endpoint());
  config.limits.connections = 2;
  WorkerHarness proxy(std::move(config));
  proxy.start();
  TcpPeer first = proxy.connect();
  TcpPeer second = proxy.connect();
  REQUIRE(eventually([&] { return proxy.shared().connections.load() == 2; }));
  check_refused(proxy, Refusal::connections);
  first.close();
  REQUIRE(eventually([&] { return proxy.shared().connections.load() == 1; }));
  TcpPeer third = proxy.connect();
  check_served(third, backend);
  check_served(second, backend);
}

TEST_CASE("limits.connections_per_source counts a source's connections until they end") {
  TcpListener backend;
  Config config = config_for(backend.endpoint());
  config.limits.connections_per_source = 1;
  WorkerHarness proxy(std::move(config));
  proxy.start();
  TcpPeer first = proxy.connect();
  check_served(first, backend);
  check_refused(proxy, Refusal::connections_per_source);
  CHECK(proxy.shared().connections.load() == 1);
  first.close();
  REQUIRE(proxy.becomes_empty());
  TcpPeer second = proxy.connect();
  check_served(second, backend);
}

TEST_CASE("limits.pending_hellos counts connections only until their hello is complete") {
  TcpListener backend;
  Config config = config_for(backend.endpoint());
  config.limits.pending_hellos = 1;
  WorkerHarness proxy(std::move(config));
  proxy.start();
  TcpPeer first = proxy.connect();
  REQUIRE(eventually([&] { return proxy.shared().pending_hellos.load() == 1; }));
  check_refused(proxy, Refusal::pending_hellos);
  check_served(first, backend);
  CHECK(proxy.shared().pending_hellos.load() == 0);
  TcpPeer second = proxy.connect();
  check_served(second, backend);
}

TEST_CASE("a source that the guard does not admit is refused, until it does") {
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  proxy.shared().admission.adopt(std::make_unique<GuardList>(), false);
  check_refused(proxy, Refusal::not_allowed);
  proxy.shared().admission.adopt(std::make_unique<GuardList>(), true);
  TcpPeer client = proxy.connect();
  check_served(client, backend);
}

TEST_CASE("a blocked source is refused although it has reset its connection before the accept") {
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  auto list = std::make_unique<GuardList>();
  auto plan =
      list->plan({.base = loopback(0).ip, .length = 128}, {.block_until = guard_never_expires});
  list->commit(plan);
  proxy.shared().admission.adopt(std::move(list), true);
  TcpPeer client = proxy.connect_to("a.example");
  client.send_reset();
  proxy.start();
  CHECK(eventually([&] { return proxy.refused(Refusal::blocked) == 1; }));
}

TEST_CASE("a reload adds a listener and goes on with the old one") {
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  TcpPeer before = proxy.connect();
  check_served(before, backend);
  proxy.reload(two_listeners(backend));
  TcpPeer old_listener = proxy.connect();
  check_served(old_listener, backend);
  TcpPeer new_listener = TcpPeer::connect(proxy.endpoint("second"));
  check_served(new_listener, backend);
}

TEST_CASE("a reload without a listener closes it, and leaves its connections alone") {
  TcpListener backend;
  WorkerHarness proxy(two_listeners(backend));
  proxy.start();
  const Endpoint removed = proxy.endpoint("second");
  TcpPeer client = TcpPeer::connect(removed);
  client.send(hello_for("a.example"));
  TcpPeer served = backend.accept();
  proxy.reload(config_for(backend.endpoint()));
  CHECK(eventually([&] { return refuses(removed); }));
  served.send("still here");
  CHECK(client.receive_text(10) == "still here");
  TcpPeer other = proxy.connect();
  check_served(other, backend);
}

TEST_CASE("a place of a removed listener is used again by an added one") {
  TcpListener backend;
  WorkerHarness proxy(two_listeners(backend));
  proxy.start();
  for (const char* name : {"third", "fourth", "fifth"}) {
    proxy.reload(config_for(backend.endpoint()));
    Config config = two_listeners(backend);
    config.listeners.back().name = name;
    config.routes.front().listeners.back() = name;
    proxy.reload(std::move(config));
    TcpPeer client = TcpPeer::connect(proxy.endpoint(name));
    check_served(client, backend);
  }
}

TEST_CASE("a reload changes routes for newcomers, not for who is connected") {
  TcpListener old_backend;
  TcpListener new_backend;
  WorkerHarness proxy(config_for(old_backend.endpoint()));
  proxy.start();
  TcpPeer before = proxy.connect();
  REQUIRE(eventually([&] { return proxy.accepted() == 1; }));
  proxy.reload(two_listeners(new_backend));
  check_served(before, old_backend);
  TcpPeer added = TcpPeer::connect(proxy.endpoint("second"));
  check_served(added, new_backend);
  TcpPeer after = proxy.connect();
  check_served(after, new_backend);
}

TEST_CASE("a new client's socket goes by the reloaded [tcp], from the backlog too") {
  FewDescriptors few;
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  const TcpPeer before = proxy.connect();
  REQUIRE(eventually([&] { return proxy.accepted() == 1; }));
  const auto usual = user_timeout_of(before);
  Config shorter = config_for(backend.endpoint());
  shorter.tcp.keepalive_idle /= 2;
  proxy.prepare_reload(std::move(shorter));
  UniqueFd socket_of_client = UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  few.use_up();  // No checks until they are given back: doctest may need one.
  connect_to(socket_of_client.get(), proxy.endpoint());
  const bool paused = accepting_pauses(proxy);
  proxy.tell_reload();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  few.give_back();
  REQUIRE(paused);
  TcpPeer waited(std::move(socket_of_client));
  check_served(waited, backend);
  CHECK(user_timeout_of(waited) == usual / 2);
  CHECK(user_timeout_of(before) == usual);
}

TEST_CASE("clients in the backlog of a removed listener are served") {
  constexpr std::size_t waiting = 100;
  TcpListener backend;
  WorkerHarness proxy(two_listeners(backend));
  std::vector<TcpPeer> clients;
  for (std::size_t i = 0; i < waiting; ++i) {
    clients.push_back(TcpPeer::connect(proxy.endpoint("second")));
  }
  proxy.start();
  proxy.reload(config_for(backend.endpoint()));
  for (TcpPeer& client : clients) check_served(client, backend);
}

TEST_CASE("clients in the backlog when draining begins wait for descriptors and are served") {
  FewDescriptors few;
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < 8; ++i) {
    sockets.push_back(UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  }
  few.use_up();  // No checks until they are given back: doctest may need one.
  for (const UniqueFd& each : sockets) connect_to(each.get(), proxy.endpoint());
  const bool paused = accepting_pauses(proxy);
  proxy.tell_drain();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  few.give_back();
  REQUIRE(paused);
  for (UniqueFd& each : sockets) {
    TcpPeer client(std::move(each));
    check_served(client, backend);
  }
}

TEST_CASE("hellos that are all there at once are served, although there are fewer buffers") {
  constexpr std::size_t at_once = 3 * limits::buffers_published;
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  std::vector<TcpPeer> clients;
  for (std::size_t i = 0; i < at_once; ++i) clients.push_back(proxy.connect_to("a.example"));
  proxy.start();
  std::vector<TcpPeer> served;
  for (std::size_t i = 0; i < at_once; ++i) {
    served.push_back(backend.accept());
    CHECK(served.back().receive(hello_for("a.example").size()) == hello_for("a.example"));
  }
  for (TcpPeer& each : served) each.send("served");
  for (TcpPeer& client : clients) CHECK(client.receive_text(6) == "served");
  // The kernel decides how many of them it accepts in one turn.
  WARN(proxy.sum([](const Counters& counters) -> auto& { return counters.receives_deferred; }) > 0);
}
