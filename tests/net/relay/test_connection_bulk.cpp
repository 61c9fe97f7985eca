#include <doctest/doctest.h>

#include <thread>

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
