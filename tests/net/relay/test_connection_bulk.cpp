#include <doctest/doctest.h>

#include <sys/socket.h>

#include <chrono>
#include <thread>
#include <vector>

#include "support/tcp_peer.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("urgent data among bulk is passed over, and no end is seen in it") {
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  const Bytes half = pattern(16 << 20);
  ssize_t urgent = 0;
  std::thread sender([&] {
    client.send(half);
    urgent = ::send(client.fd(), "!", 1, MSG_OOB | MSG_NOSIGNAL);
    client.send(half);
    client.send_fin();
  });
  TcpPeer backend = listener.accept();
  Bytes expected = hello_for("a.example");
  append(expected, half);
  append(expected, half);
  const auto arrived = backend.receive_rest();
  sender.join();
  CHECK(urgent == 1);
  CHECK(arrived.end == End::fin);
  CHECK((arrived.bytes == expected));
}

TEST_CASE("what is less than a raised low-water mark arrives all the same, and so does an answer") {
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  TcpPeer backend = listener.accept();
  backend.receive(hello_for("a.example").size());
  const Bytes piece = pattern(128 << 10);
  for (int burst = 0; burst < 20; ++burst) {
    std::thread sender([&] {
      for (int i = 0; i < 40; ++i) {
        backend.send(piece);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
      backend.send("tail");
    });
    for (int i = 0; i < 40; ++i) CHECK((client.receive(piece.size()) == piece));
    CHECK(client.receive_text(4) == "tail");
    sender.join();
    client.send("more");
    CHECK(backend.receive_text(4) == "more");
  }
}

TEST_CASE("readers that stall do not keep the kernel's pipes, and get all of their bytes") {
  struct Pair {
    TcpPeer client;
    TcpPeer backend;
    std::jthread sender;
  };
  const Bytes sent = pattern(16 << 20);
  constexpr std::size_t read_first = 3 << 20;
  TcpListener listener;
  Config config = config_for(listener.endpoint());
  constexpr std::uint64_t relay_memory = 16 << 20;
  constexpr std::size_t pipes = pipes_share(relay_memory) / limits::splice_bytes;
  config.limits.relay_memory = relay_memory;
  WorkerHarness proxy(std::move(config));
  proxy.start();
  std::vector<Pair> pairs;
  const auto evicted = [&] {
    return proxy.sum([](const Counters& counters) -> auto& { return counters.splices_evicted; });
  };
  for (std::size_t i = 0; i < pipes + 2; ++i) {
    // Only a reader that has stalled for so long gives its pipe up.
    if (i >= pipes) std::this_thread::sleep_for(std::chrono::milliseconds(splice_stalled_ms + 100));
    Pair& pair = pairs.emplace_back(
        Pair{.client = proxy.connect_to("a.example", {.receive_buffer_bytes = 256 << 10}),
             .backend = listener.accept(),
             .sender = {}});
    pair.sender = std::jthread([&sent, fd = pair.backend.fd()] {
      for (std::size_t at = 0; at < sent.size();) {
        const ssize_t n = ::send(fd, sent.data() + at, sent.size() - at, MSG_NOSIGNAL);
        if (n <= 0) return;
        at += static_cast<std::size_t>(n);
      }
      shutdown(fd, SHUT_WR);
    });
    CHECK((pair.client.receive(read_first) == Bytes(sent.begin(), sent.begin() + read_first)));
  }
  CHECK(eventually([&] { return evicted() > 0; }));
  CHECK(proxy.shared().relay_memory.parked > 0);
  CHECK(proxy.shared().relay_memory.used() <= relay_memory);
  const Bytes rest(sent.begin() + read_first, sent.end());
  for (Pair& pair : pairs) {
    const auto arrived = pair.client.receive_rest();
    CHECK(arrived.end == End::fin);
    CHECK((arrived.bytes == rest));
  }
  pairs.clear();
  CHECK(proxy.becomes_empty());
}
