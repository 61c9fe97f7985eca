#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "support/tcp_peer.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("more stalled readers than buffers neither stop the others nor lose a byte") {
  constexpr std::size_t readers = limits::buffer_count + 8;
  constexpr std::size_t sent_bytes = 320 << 10;
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  std::vector<TcpPeer> clients;
  std::vector<TcpPeer> backends;
  for (std::size_t i = 0; i < readers; ++i) {
    clients.push_back(proxy.connect_to("a.example", narrow));
    TcpPeer backend = listener.accept();
    backend.receive(hello_for("a.example").size());
    backend.send(pattern(sent_bytes, i));
    backend.send_fin();
    backends.push_back(std::move(backend));
  }
  REQUIRE(eventually([&] { return proxy.shared().relay_memory.used() > 0; }));

  TcpPeer moving = proxy.connect_to("a.example");
  TcpPeer backend = listener.accept();
  const Bytes bytes = pattern(1 << 20);
  std::thread sender([&] { backend.send(bytes); });
  CHECK((moving.receive(bytes.size()) == bytes));
  sender.join();

  const auto rests = receive_rests(clients);
  for (std::size_t i = 0; i < readers; ++i) {
    CHECK(rests[i].end == End::fin);
    CHECK((rests[i].bytes == pattern(sent_bytes, i)));
  }
  clients.clear();
  backends.clear();
  moving.close();
  backend.close();
  CHECK(proxy.becomes_empty());
}

TEST_CASE("readers that stall beyond limits.relay_memory are cut") {
  constexpr std::size_t readers = limits::buffer_count / 2 + 8;
  TcpListener listener;
  Config config = config_for(listener.endpoint());
  config.limits.relay_memory = 1;
  WorkerHarness proxy(std::move(config));
  proxy.start();
  std::vector<TcpPeer> clients;
  std::vector<TcpPeer> backends;
  for (std::size_t i = 0; i < readers; ++i) {
    clients.push_back(proxy.connect_to("a.example", narrow));
    backends.push_back(listener.accept());
    backends.back().send(pattern(320 << 10, i));
  }
  CHECK(eventually([&] { return proxy.ended(EndReason::relay_memory) > 0; }));
  CHECK(proxy.shared().relay_memory.used() == 0);
  clients.clear();
  backends.clear();
  CHECK(proxy.becomes_empty());
}
