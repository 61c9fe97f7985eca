#include "net/server/worker.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/echo_backend.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

namespace {

// One connection from its hello to both FINs; whether each byte came back.
bool echoes(const Endpoint& proxy, const Bytes& bytes) {
  TcpPeer client = TcpPeer::connect(proxy);
  const Bytes hello = hello_for("a.example");
  client.send(hello);
  if (client.receive(hello.size()) != hello) return false;
  client.send(bytes);
  client.send_fin();
  const auto rest = client.receive_rest();
  return rest.end == End::fin && rest.bytes == bytes;
}

}  // namespace

TEST_CASE("several workers carry the traffic of many clients, and end with nothing left over") {
  constexpr unsigned workers = 3;
  constexpr std::size_t threads = 4;
  constexpr std::size_t rounds = 40;
  EchoBackend backend;
  WorkerHarness proxy(config_for(backend.endpoint()), workers);
  proxy.start();
  std::atomic<std::size_t> good{0};
  std::vector<std::thread> clients;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    clients.emplace_back([&, thread] {
      for (std::size_t round = 0; round < rounds; ++round) {
        good += echoes(proxy.endpoint(), pattern(1 + round * 1'000, thread)) ? 1 : 0;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  CHECK(good == threads * rounds);
  CHECK(proxy.becomes_empty());
  CHECK(proxy.accepted() == threads * rounds);
  CHECK(proxy.ended(EndReason::done) == threads * rounds);
}

TEST_CASE("reloads while clients come and go disturb nobody") {
  EchoBackend backend;
  WorkerHarness proxy(config_for(backend.endpoint()), 2);
  proxy.start();
  std::atomic<bool> over{false};
  std::atomic<std::size_t> bad{0};
  const Endpoint endpoint = proxy.endpoint();
  std::thread client([&] {
    while (!over) bad += echoes(endpoint, pattern(5'000)) ? 0 : 1;
  });
  for (int i = 0; i < 30; ++i) {
    Config config = config_for(backend.endpoint());
    if (i % 2 == 0) {
      config.listeners.push_back(listener_named("extra"));
      config.routes.front().listeners.emplace_back("extra");
    }
    proxy.reload(std::move(config));
    if (i % 2 == 0) bad += echoes(proxy.endpoint("extra"), pattern(5'000)) ? 0 : 1;
  }
  over = true;
  client.join();
  CHECK(bad == 0);
  CHECK(proxy.becomes_empty());
}

TEST_CASE("a worker without connections ends as soon as it is told to drain") {
  EchoBackend backend;
  WorkerHarness proxy(config_for(backend.endpoint()), 2);
  proxy.start();
  proxy.tell_drain();
  CHECK(proxy.ends());
  CHECK_FALSE(proxy.worker().failure());
  CHECK(proxy.worker().cut() == 0);
}

TEST_CASE("a draining worker takes nobody new, and ends when its last connection has") {
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  TcpPeer served = backend.accept();
  proxy.tell_drain();
  CHECK(eventually([&] { return refuses(proxy.endpoint()); }));
  CHECK_FALSE(proxy.worker().ended());
  served.send("last");
  CHECK(client.receive_text(4) == "last");
  client.close();
  served.close();
  CHECK(proxy.ends());
  CHECK(proxy.worker().cut() == 0);
  CHECK(proxy.becomes_empty());
}

TEST_CASE("clients that wait in the backlog when draining begins are served") {
  constexpr std::size_t waiting = 100;
  EchoBackend backend;
  WorkerHarness proxy(config_for(backend.endpoint()), 2);
  std::vector<TcpPeer> clients;
  const Bytes hello = hello_for("a.example");
  for (std::size_t i = 0; i < waiting; ++i) clients.push_back(proxy.connect_to("a.example"));
  proxy.start();
  proxy.tell_drain();
  for (TcpPeer& client : clients) {
    CHECK(client.receive(hello.size()) == hello);
    client.close();
  }
  CHECK(proxy.ends());
  CHECK(proxy.accepted() == waiting);
  CHECK(proxy.becomes_empty());
}

TEST_CASE("a stop cuts connections in every phase") {
  TcpListener backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  TcpPeer in_hello = proxy.connect();
  TcpPeer relaying = proxy.connect_to("a.example");
  TcpPeer relaying_backend = backend.accept();
  TcpPeer draining = proxy.connect_to("a.example");
  TcpPeer draining_backend = backend.accept();
  draining.send_fin();
  CHECK(draining_backend.end() == End::fin);
  TcpPeer stalled = proxy.connect_to("a.example", narrow);
  TcpPeer stalled_backend = backend.accept();
  stalled_backend.send(pattern(256 << 10));
  REQUIRE(eventually([&] {
    return proxy.sum([](const Counters& counters) -> auto& { return counters.readers_stalled; }) >
           0;
  }));
  REQUIRE(eventually([&] { return proxy.accepted() == 4; }));
  proxy.tell_stop();
  CHECK(proxy.ends());
  CHECK(proxy.worker().cut() == 4);
  CHECK(proxy.ended(EndReason::cut) == 4);
  CHECK(proxy.becomes_empty());
  in_hello.end();
  relaying.end();
  relaying_backend.end();
}

TEST_CASE("a stop ends the worker although clients keep coming") {
  for (int round = 0; round < 20; ++round) {
    TcpListener backend;
    WorkerHarness proxy(config_for(backend.endpoint()));
    std::vector<TcpPeer> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(proxy.connect());
    proxy.start();
    proxy.tell_stop();
    CHECK(proxy.ends());
    CHECK(proxy.becomes_empty());
  }
}

TEST_CASE("commands that come faster than the worker reads them are all obeyed") {
  EchoBackend backend;
  WorkerHarness proxy(config_for(backend.endpoint()));
  proxy.start();
  for (int i = 0; i < 200; ++i) proxy.reload(config_for(backend.endpoint()));
  CHECK(echoes(proxy.endpoint(), pattern(100)));
  proxy.tell_drain();
  proxy.tell_drain();
  proxy.tell_stop();
  CHECK(proxy.ends());
}
