#include "net/connection.h"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/hello/answer.h"
#include "net/socket.h"
#include "support/client_hello_builder.h"
#include "support/tcp_peer.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

#ifdef __SANITIZE_ADDRESS__
// ASan does not see the kernel read sent bytes: freed memory is filled, so that it shows.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "max_free_fill_size=1048576";
}
#endif

namespace {

// A client and a backend with the proxy between them, the client's hello delivered.
struct Relayed {
  explicit Relayed(const TcpOptions& client_options = {}) : proxy(config_for(listener.endpoint())) {
    proxy.start();
    client = proxy.connect_to("a.example", client_options);
    backend = listener.accept();
    REQUIRE(backend.receive(hello_for("a.example").size()) == hello_for("a.example"));
  }

  TcpListener listener;
  WorkerHarness proxy;
  TcpPeer client;
  TcpPeer backend;
};

std::string answer_text(Answer answer) {
  const auto bytes = answer_bytes(answer);
  return {bytes.begin(), bytes.end()};
}

// The answer to a client that sends `flight` and is not served.
TcpPeer::Rest answer_to(WorkerHarness& proxy, std::span<const std::uint8_t> flight) {
  TcpPeer client = proxy.connect();
  client.send(flight);
  client.send_fin();
  return client.receive_rest();
}

std::uint64_t stalls(const WorkerHarness& proxy) {
  return proxy.sum([](const Counters& counters) -> auto& { return counters.readers_stalled; });
}

// The backend sends `sent` and resets. The proxy certainly has the returned number of bytes.
std::size_t stall_and_reset(Relayed& relayed, const Bytes& sent) {
  relayed.backend.send(sent);
  REQUIRE(eventually([&] { return stalls(relayed.proxy) > 0; }));
  const std::size_t taken = sent.size() - unacknowledged_bytes(relayed.backend.fd());
  relayed.backend.send_reset();
  return taken;
}

// Whether the socket from `local` to `remote` on this host waits for its keepalive timer: the row of
// its ports (hexadecimal) has a timer 02 (proc_net_tcp.rst of the kernel).
bool keepalive_waits(std::uint16_t local, std::uint16_t remote) {
  const auto at = [](std::uint16_t port) {
    std::ostringstream text;
    text << ':' << std::hex << std::uppercase << std::setw(4) << std::setfill('0') << port << ' ';
    return text.str();
  };
  std::ifstream table("/proc/self/net/tcp");
  for (std::string line; std::getline(table, line);) {
    if (line.contains(at(local)) && line.contains(at(remote) + "01 ")) return line.contains(" 02:");
  }
  return false;
}

}  // namespace

TEST_CASE("the connection to a backend is kept alive once it has lasted for a while") {
  TcpListener listener;
  Config config = config_for(listener.endpoint());
  config.tcp.keepalive_idle = std::chrono::seconds(1);
  WorkerHarness proxy(std::move(config));
  proxy.start();
  const TcpPeer client = proxy.connect_to("a.example");
  TcpPeer backend = listener.accept();
  REQUIRE(backend.receive(hello_for("a.example").size()) == hello_for("a.example"));
  const std::uint16_t port = peer_of(backend.fd()).port;
  CHECK(eventually([&] { return keepalive_waits(port, listener.endpoint().port); }));
}

TEST_CASE("after the hello bytes go both ways") {
  Relayed relayed;
  relayed.backend.send("from the backend");
  CHECK(relayed.client.receive_text(16) == "from the backend");
  relayed.client.send("from the client");
  CHECK(relayed.backend.receive_text(15) == "from the client");
}

TEST_CASE("the backend gets a hello of many pieces as it was, and what follows it") {
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect();
  Bytes sent = browser_hello("a.example").wire(100);
  append(sent, "early");
  constexpr std::size_t piece = 97;
  for (std::size_t at = 0; at < sent.size(); at += piece) {
    client.send(std::span(sent).subspan(at, std::min(piece, sent.size() - at)));
  }
  CHECK(listener.accept().receive(sent.size()) == sent);
}

TEST_CASE("megabytes in both directions at once arrive whole") {
  Relayed relayed;
  const Bytes up = pattern(3 << 20, 1);
  const Bytes down = pattern(3 << 20, 2);
  std::thread client([&] {
    relayed.client.send(up);
    relayed.client.send_fin();
  });
  std::thread backend([&] {
    relayed.backend.send(down);
    relayed.backend.send_fin();
  });
  const auto from_backend = relayed.client.receive_rest();
  const auto from_client = relayed.backend.receive_rest();
  client.join();
  backend.join();
  CHECK(from_backend.end == End::fin);
  CHECK(from_client.end == End::fin);
  CHECK((from_backend.bytes == down));
  CHECK((from_client.bytes == up));
  CHECK(relayed.proxy.becomes_empty());
  CHECK(relayed.proxy.ended(EndReason::done) == 1);
}

TEST_CASE("after the client's FIN the backend can still answer") {
  Relayed relayed;
  relayed.client.send("question");
  relayed.client.send_fin();
  CHECK(relayed.backend.receive_rest().text() == "question");
  relayed.backend.send("answer");
  relayed.backend.send_fin();
  const auto rest = relayed.client.receive_rest();
  CHECK(rest.text() == "answer");
  CHECK(rest.end == End::fin);
  CHECK(relayed.proxy.becomes_empty());
  CHECK(relayed.proxy.ended(EndReason::done) == 1);
}

TEST_CASE("after the backend's FIN the client can still send") {
  Relayed relayed;
  relayed.backend.send("go on");
  relayed.backend.send_fin();
  CHECK(relayed.client.receive_rest().text() == "go on");
  relayed.client.send("the rest");
  relayed.client.send_fin();
  const auto rest = relayed.backend.receive_rest();
  CHECK(rest.text() == "the rest");
  CHECK(rest.end == End::fin);
  CHECK(relayed.proxy.becomes_empty());
}

TEST_CASE("last bytes leave in one segment with the FIN behind them") {
  Relayed relayed;
  relayed.backend.send("hello");
  REQUIRE(relayed.client.receive_text(5) == "hello");
  const std::uint32_t before = relayed.client.segments_in();
  relayed.backend.send_last("good bye");
  const auto rest = relayed.client.receive_rest();
  CHECK(rest.text() == "good bye");
  CHECK(rest.end == End::fin);
  CHECK(relayed.client.segments_in() == before + 1);
}

TEST_CASE("a reset by the client reaches the backend behind the client's last bytes") {
  Relayed relayed;
  relayed.client.send("last words");
  relayed.client.send_reset();
  const auto rest = relayed.backend.receive_rest();
  CHECK(rest.text() == "last words");
  CHECK(rest.end == End::reset);
  CHECK(relayed.proxy.becomes_empty());
  CHECK(relayed.proxy.ended(EndReason::client_reset) == 1);
}

TEST_CASE("a reset by the backend reaches the client behind the backend's last bytes") {
  Relayed relayed;
  relayed.backend.send("last words");
  relayed.backend.send_reset();
  const auto rest = relayed.client.receive_rest();
  CHECK(rest.text() == "last words");
  CHECK(rest.end == End::reset);
  CHECK(relayed.proxy.becomes_empty());
  CHECK(relayed.proxy.ended(EndReason::backend_reset) == 1);
}

TEST_CASE("what came before a reset reaches a reader that stalled, then the reset does") {
  Relayed relayed(narrow);
  const Bytes sent = pattern(512 << 10);
  const std::size_t taken = stall_and_reset(relayed, sent);
  const auto rest = relayed.client.receive_rest();
  CHECK(rest.end == End::reset);
  CHECK(rest.bytes.size() >= taken);
  CHECK(std::equal(rest.bytes.begin(), rest.bytes.end(), sent.begin()));
  CHECK(relayed.proxy.becomes_empty());
  CHECK(relayed.proxy.ended(EndReason::backend_reset) == 1);
}

TEST_CASE("a reader that is slow but reads on gets all that came before a reset") {
  Relayed relayed(narrow);
  const Bytes sent = pattern(512 << 10);
  const std::size_t taken = stall_and_reset(relayed, sent);
  Bytes got;
  while (got.size() < sent.size()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const Bytes part = relayed.client.receive(20 << 10);
    if (part.empty()) break;
    got.insert(got.end(), part.begin(), part.end());
  }
  CHECK(got.size() >= taken);
  CHECK(std::equal(got.begin(), got.end(), sent.begin()));
}

TEST_CASE("a reset ends the connection although the other side reads nothing") {
  Relayed relayed(narrow);
  relayed.backend.send(pattern(512 << 10));
  REQUIRE(eventually([&] { return stalls(relayed.proxy) > 0; }));
  relayed.backend.send_reset();
  CHECK(relayed.proxy.becomes_empty());
  CHECK(relayed.proxy.ended(EndReason::backend_reset) == 1);
}

TEST_CASE("a reset behind a FIN is noticed although nothing moves") {
  Relayed relayed;
  relayed.client.send_fin();
  CHECK(relayed.backend.receive_rest().end == End::fin);
  relayed.client.send_reset();
  CHECK(relayed.proxy.becomes_empty());
  CHECK(relayed.proxy.ended(EndReason::client_reset) == 1);
}

TEST_CASE("a hello that stalls goes out unchanged although the backend speaks first") {
  // So narrow that most of the hello waits. tcp_metrics have no entry for this address.
  TcpListener listener({.segment_bytes = 88, .receive_buffer_bytes = 1, .host = 188});
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  TcpPeer client = proxy.connect();
  const Bytes hello = ClientHelloBuilder().server_name("a.example").padding(15'000).wire(8);
  client.send(hello);
  TcpPeer backend = listener.accept();
  REQUIRE(eventually([&] { return stalls(proxy) > 0; }));
  backend.send("banner");
  CHECK(client.receive_text(6) == "banner");
  // The banner is sent, and its completion has been seen once the next bytes arrive.
  backend.send("more");
  CHECK(client.receive_text(4) == "more");
  CHECK((backend.receive(hello.size()) == hello));
}

TEST_CASE("a name without a route gets the alert for unrecognized names") {
  TcpListener listener;
  Config config = config_for(listener.endpoint());
  config.routes.front().names = {"b.example"};
  WorkerHarness proxy(std::move(config));
  proxy.start();
  const auto rest = answer_to(proxy, hello_for("a.example"));
  CHECK(rest.text() == answer_text(Answer::tls_unrecognized_name));
  CHECK(rest.end == End::fin);
  CHECK(proxy.becomes_empty());
  CHECK(proxy.ended(EndReason::no_route) == 1);
}

TEST_CASE("a client of a backend that refuses gets an alert") {
  const RefusingEndpoint refusing;
  WorkerHarness proxy(config_for(refusing.endpoint()));
  proxy.start();
  const auto rest = answer_to(proxy, hello_for("a.example"));
  CHECK(rest.text() == answer_text(Answer::tls_internal_error));
  CHECK(rest.end == End::fin);
  CHECK(proxy.becomes_empty());
  CHECK(proxy.ended(EndReason::unreachable) == 1);
}

TEST_CASE("the next backend serves where the first refuses") {
  const RefusingEndpoint refusing;
  TcpListener listener;
  WorkerHarness proxy(
      config_for({backend_at(refusing.endpoint()), backend_at(listener.endpoint())}));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  CHECK(listener.accept().receive(hello_for("a.example").size()) == hello_for("a.example"));
}

TEST_CASE("an HTTP client gets the answer that its trouble has") {
  const RefusingEndpoint refusing;
  Config config = config_for(refusing.endpoint(), Protocol::http);
  config.routes.front().names = {"a.example"};
  WorkerHarness proxy(std::move(config));
  proxy.start();
  const auto answer = [&](std::string_view request) {
    return answer_to(proxy, text_bytes(request)).text();
  };
  CHECK(answer("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n") ==
        answer_text(Answer::http_bad_gateway));
  CHECK(answer("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n") ==
        answer_text(Answer::http_misdirected));
  CHECK(answer("GET / HTTP/1.0\r\n\r\n") == answer_text(Answer::http_not_found));
  CHECK(proxy.becomes_empty());
}

TEST_CASE("an HTTP request goes to its backend, body and all") {
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint(), Protocol::http));
  proxy.start();
  TcpPeer client = proxy.connect();
  const std::string request = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody";
  client.send(request);
  TcpPeer backend = listener.accept();
  CHECK(backend.receive_text(request.size()) == request);
  backend.send("HTTP/1.1 204 No Content\r\n\r\n");
  CHECK(client.receive_text(8) == "HTTP/1.1");
}

TEST_CASE("what is not TLS is closed without an answer") {
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  CHECK(answer_to(proxy, text_bytes("GET / HTTP/1.1\r\n\r\n")).bytes.empty());
  CHECK(proxy.becomes_empty());
  CHECK(proxy.ended(EndReason::not_the_protocol) == 1);
}

TEST_CASE("a client that leaves before its hello is complete leaves nothing behind") {
  TcpListener listener;
  WorkerHarness proxy(config_for(listener.endpoint()));
  proxy.start();
  const Bytes hello = hello_for("a.example");
  TcpPeer with_fin = proxy.connect();
  with_fin.send(std::span(hello).first(20));
  with_fin.send_fin();
  CHECK(with_fin.end() == End::fin);
  TcpPeer with_reset = proxy.connect();
  with_reset.send(std::span(hello).first(20));
  REQUIRE(eventually([&] { return proxy.accepted() == 2; }));
  with_reset.send_reset();
  CHECK(eventually([&] { return proxy.ended(EndReason::client_left) == 2; }));
  CHECK(proxy.becomes_empty());
}

TEST_CASE("a client that sends no hello is closed at the hello deadline") {
  TcpListener listener;
  Config config = config_for(listener.endpoint());
  config.timeouts.hello = std::chrono::milliseconds(20);
  WorkerHarness proxy(std::move(config));
  proxy.start();
  CHECK(proxy.connect().end() == End::fin);
  CHECK(proxy.becomes_empty());
  CHECK(proxy.ended(EndReason::hello_timeout) == 1);
}

TEST_CASE("a connection without bytes ends at the idle deadline, on both sides") {
  TcpListener listener;
  Config config = config_for(listener.endpoint());
  config.timeouts.idle = std::chrono::milliseconds(20);
  WorkerHarness proxy(std::move(config));
  proxy.start();
  TcpPeer client = proxy.connect_to("a.example");
  TcpPeer backend = listener.accept();
  CHECK(client.end() == End::fin);
  CHECK(backend.end() == End::fin);
  CHECK(proxy.becomes_empty());
  CHECK(proxy.ended(EndReason::idle_timeout) == 1);
}
