#include "net/connect/setup.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <chrono>
#include <vector>

#include "net/socket.h"
#include "support/faults.h"
#include "support/tcp_peer.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

// A backend that answers no SYN: its accept queue is full (tcp_conn_request drops them).
class SilentBackend {
 public:
  SilentBackend() : listener_(UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    sockaddr_storage address;
    const socklen_t length = to_sockaddr(loopback(0), address);
    REQUIRE(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(listener_.get(), 0) == 0);
    endpoint_ = local_endpoint(listener_.get());
    to_sockaddr(endpoint_, address);
    for (int i = 0; i < 4; ++i) {
      fillers_.push_back(
          UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
      static_cast<void>(
          connect(fillers_.back().get(), reinterpret_cast<sockaddr*>(&address), length));
    }
  }
  Endpoint endpoint() const { return endpoint_; }

 private:
  UniqueFd listener_;
  std::vector<UniqueFd> fillers_;
  Endpoint endpoint_;
};

}  // namespace

TEST_CASE("a client that resets while its backend does not answer is gone at once") {
  const SilentBackend silent;
  WorkerHarness proxy(config_for(silent.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  REQUIRE(eventually([&] { return proxy.shared().pending_hellos == 0 && proxy.accepted() == 1; }));
  client.send_reset();
  const auto reset_at = Clock::now();
  REQUIRE(proxy.becomes_empty());
  // The watch begins after 50 ms; without it the client would be dialled for until timeouts.connect.
  CHECK(Clock::now() - reset_at < milliseconds(4000));
  CHECK(proxy.ended(EndReason::client_left) == 1);
}

TEST_CASE("a watch that gets no memory is tried again, and still sees the client leave") {
  FaultPlan plan{.seed = 1};
  plan.rate(Fault::poll) = 900;
  const Faults faults(plan);
  const SilentBackend silent;
  WorkerHarness proxy(config_for(silent.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  REQUIRE(eventually([] { return Faults::injected(Fault::poll) > 0; }));
  client.send_reset();
  CHECK(proxy.becomes_empty());
  CHECK(proxy.ended(EndReason::client_left) == 1);
}

TEST_CASE("a client that has sent its FIN is still served once its backend is there") {
  const SilentBackend silent;
  TcpListener listener;
  Config config = config_for({backend_at(silent.endpoint()), backend_at(listener.endpoint())});
  config.timeouts.connect = milliseconds(200);
  WorkerHarness proxy(std::move(config));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  client.send_fin();
  TcpPeer backend = listener.accept();
  CHECK(backend.receive_rest().bytes == hello_for("a.example"));
  backend.send("answer");
  backend.send_fin();
  CHECK(client.receive_rest().text() == "answer");
}

TEST_CASE("a client that resets behind its FIN is gone at once too") {
  const SilentBackend silent;
  WorkerHarness proxy(config_for(silent.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  client.send_fin();
  REQUIRE(eventually([&] { return proxy.shared().pending_hellos == 0 && proxy.accepted() == 1; }));
  client.send_reset();
  REQUIRE(proxy.becomes_empty());
  CHECK(proxy.ended(EndReason::client_left) == 1);
}

TEST_CASE("hostile hellos hold no more than limits.hello_memory, and a real client is served") {
  constexpr std::uint64_t budget = 64 * 1024;
  TcpListener listener;
  Config config = config_for(listener.endpoint());
  config.limits.hello_memory = budget;
  WorkerHarness proxy(std::move(config));
  proxy.start();
  // Most of a hello with a claimed length of 16 KiB.
  Bytes hostile = {0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc};
  hostile.resize(12'000);
  std::vector<TcpPeer> flood;
  for (int i = 0; i < 20; ++i) {
    flood.push_back(proxy.connect());
    flood.back().send(hostile);
  }
  CHECK(eventually([&] { return proxy.ended(EndReason::hello_memory) >= 15; }));
  CHECK(proxy.shared().flights.used <= budget);
  TcpPeer client = proxy.connect_to("a.example");
  CHECK(listener.accept().receive(hello_for("a.example").size()) == hello_for("a.example"));
  client.close();
  flood.clear();
  CHECK(proxy.becomes_empty());
}

TEST_CASE("however many backends are silent, the client has its answer within timeouts.setup") {
  const std::vector<SilentBackend> silent(4);
  std::vector<Backend> backends;
  for (const SilentBackend& each : silent) backends.push_back(backend_at(each.endpoint()));
  Config config = config_for(std::move(backends));
  config.timeouts.connect = milliseconds(1000);
  config.timeouts.setup = milliseconds(1500);
  WorkerHarness proxy(std::move(config));
  proxy.start();
  const auto asked_at = Clock::now();
  TcpPeer client = proxy.connect_to("a.example");
  CHECK_FALSE(client.receive_rest().bytes.empty());
  CHECK(Clock::now() - asked_at < milliseconds(3900));  // Four tries would take 4 s.
  client.close();
  CHECK(eventually([&] { return proxy.ended(EndReason::connect_timeout) == 1; }));
}
