// redirect_msg and capture_backend: a backend on this host.

#include <linux/tls.h>
#include <sys/epoll.h>

#include <algorithm>
#include <thread>

#include "bpf/sockhash/sock_fixture.h"
#include "support/net_namespace.h"

using namespace sni;
using namespace sni::test;

namespace {

// An event-driven backend: edge-triggered, writes until EAGAIN, then waits for its own socket.
struct EdgeWriter {
  int limit_ms = wait_limit_ms;  // How long it waits before it counts as stalled.
  std::uint64_t sent = 0;
  std::uint64_t refusals = 0;  // EAGAIN: one per wait.
  bool stalled = false;

  void run(int fd, std::uint64_t total) {
    set_nonblocking(fd);
    auto epoll = UniqueFd::adopt(check(::epoll_create1(EPOLL_CLOEXEC), "epoll"));
    epoll_event event{.events = EPOLLOUT | EPOLLET, .data = {}};
    check(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    while (sent < total && !stalled) {
      stalled = ::epoll_wait(epoll.get(), &event, 1, limit_ms) != 1;
      if (!stalled) write_until_refused(fd, total);
    }
    check(::shutdown(fd, SHUT_WR), "shutdown");
  }

 private:
  void write_until_refused(int fd, std::uint64_t total) {
    while (sent < total) {
      const auto bytes = test_stream(sent, std::min<std::uint64_t>(32 * 1024, total - sent));
      const auto wrote = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (wrote < 0) {
        refusals++;
        return;
      }
      sent += static_cast<std::uint64_t>(wrote);
    }
  }
};

// The relay's part for a backend on this host: it forwards passed bytes, and grants on each
// wake-up.
void relay(LocalPair& pair) {
  for (;;) {
    std::string bytes(64 * 1024, '\0');
    const auto got = ::recv(pair.backend_side.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) break;
    pair.forward(std::string_view(bytes).substr(0, static_cast<std::size_t>(got)));
  }
  ::shutdown(pair.client_side.get(), SHUT_WR);
}

bool read_stream_slowly(int fd, std::uint64_t total) {
  std::uint64_t have = 0;
  while (have < total) {
    const auto bytes = receive(fd, std::min<std::uint64_t>(256 * 1024, total - have));
    if (bytes.empty() || bytes != test_stream(have, bytes.size())) return false;
    have += bytes.size();
    ::usleep(1000);
  }
  return receive(fd, 1).empty();
}

}  // namespace

TEST_CASE("A backend's writes leave by the client's socket and never reach the proxy") {
  SockFixture fixture;
  LocalPair pair(fixture);
  REQUIRE(fixture.slots->caught(pair.slot));
  pair.add_target();
  pair.grant();
  send_all(pair.backend.get(), "answer");
  CHECK(receive(pair.client.get(), 6) == "answer");
  CHECK(receive_now(pair.backend_side.get()).empty());
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) == 1);
  CHECK(fixture.counter(SOCK_MSG_REDIRECTED_BYTES) == 6);
  CHECK(fixture.slots->redirected(pair.slot) == 6);
}

TEST_CASE("Without a target or a grant a caught backend is served by the relay") {
  SockFixture fixture;
  LocalPair pair(fixture);
  sock_stat reason{};
  SUBCASE("no grant") {
    pair.add_target();
    reason = SOCK_MSG_PASS_CREDIT;
  }
  SUBCASE("no target") {
    pair.grant();
    reason = SOCK_MSG_MISSES;
  }
  SUBCASE("slot given back") {
    pair.add_target();
    pair.grant();
    fixture.slots->give_back(pair.slot);
    reason = SOCK_MSG_PASS_UNKNOWN;
  }
  SUBCASE("client gone") {
    pair.add_target();
    pair.grant();
    pair.client_side.reset();
    reason = SOCK_MSG_MISSES;
  }
  send_all(pair.backend.get(), "answer");
  CHECK(fixture.counter(reason) == 1);
  CHECK(receive(pair.backend_side.get(), 6) == "answer");
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) == 0);
}

TEST_CASE("A slot's next pair never gets bytes of the one before") {
  SockFixture fixture(1);
  LocalPair first(fixture);
  first.add_target();
  first.grant();
  fixture.slots->give_back(first.slot);
  LocalPair second(fixture);
  REQUIRE(second.slot == first.slot);
  second.add_target();
  second.grant();
  send_all(first.backend.get(), "first's");
  CHECK(receive(first.backend_side.get(), 7) == "first's");
  CHECK(receive_now(second.client.get()).empty());
}

TEST_CASE("Rule 10: nothing is redirected while earlier bytes are on their way to the proxy") {
  SockFixture fixture;
  LocalPair pair(fixture);
  send_all(pair.backend.get(), "one ");
  pair.add_target();
  pair.grant();
  send_all(pair.backend.get(), "two ");
  CHECK(fixture.counter(SOCK_MSG_PASS_ORDER) == 1);
  CHECK(receive_now(pair.client.get()).empty());

  pair.forward(receive(pair.backend_side.get(), 4));
  send_all(pair.backend.get(), "three ");
  CHECK(fixture.counter(SOCK_MSG_PASS_ORDER) == 2);

  pair.forward(receive(pair.backend_side.get(), 10));
  send_all(pair.backend.get(), "four");
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) == 1);
  CHECK(receive(pair.client.get(), 18) == "one two three four");
}

TEST_CASE("Rule 10: redirected bytes are in the client's send queue before the FIN is here") {
  SockFixture fixture;
  for (int round = 0; round < 50; round++) {
    LocalPair pair(fixture);
    pair.add_target();
    pair.grant();
    const auto bytes = test_stream(0, 20'000);
    send_all(pair.backend.get(), bytes);
    pair.backend.reset();
    REQUIRE(receive(pair.backend_side.get(), 1).empty());
    // No wait and no drain test between.
    check(::shutdown(pair.client_side.get(), SHUT_WR), "shutdown");
    CHECK(receive(pair.client.get(), bytes.size() + 1) == bytes);
    fixture.slots->give_back(pair.slot);
  }
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) >= 50);
}

TEST_CASE("Rule 11: an edge-triggered backend neither hangs nor spins when the client is slow") {
  SockFixture fixture;
  LocalPair pair(fixture, 64 * 1024);
  pair.add_target();
  pair.grant();
  constexpr std::uint64_t total = 24 << 20;
  EdgeWriter writer;
  std::thread backend([&] { writer.run(pair.backend.get(), total); });
  std::thread proxy([&] { relay(pair); });
  CHECK(read_stream_slowly(pair.client.get(), total));
  backend.join();
  proxy.join();
  CHECK_FALSE(writer.stalled);
  CHECK(writer.sent == total);
  CHECK(writer.refusals < 5000);
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) > 0);
  CHECK(fixture.counter(SOCK_MSG_PASS_CREDIT) > 0);
}

TEST_CASE("Rule 11: without the credit a full client's socket leaves the backend asleep") {
  SockFixture fixture;
  LocalPair pair(fixture, 16 * 1024);
  pair.add_target();
  pair.grant_without_bound();
  EdgeWriter writer{.limit_ms = 3000};
  std::thread backend([&] { writer.run(pair.backend.get(), 64 << 20); });
  while (!wait_for(pair.client.get(), POLLIN, 1000)) continue;
  ::usleep(300'000);
  // The client resumes and reads all there is; the backend keeps sleeping.
  std::uint64_t got = 0;
  while (wait_for(pair.client.get(), POLLIN, 500)) got += receive_now(pair.client.get()).size();
  backend.join();
  CHECK(writer.stalled);
  CHECK(got == writer.sent);
}

TEST_CASE("Rule 15: the programs count a refused send again, TCP_INFO of the client's socket not") {
  SockFixture fixture;
  LocalPair pair(fixture, 16 * 1024);
  pair.add_target();
  pair.grant_without_bound();
  set_nonblocking(pair.backend.get());
  const auto bytes = test_stream(0, 400'000);
  std::uint64_t sent = 0;
  for (int refusals = 0; refusals < 3;) {
    const auto wrote = ::send(pair.backend.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (wrote < 0)
      refusals++;
    else
      sent += static_cast<std::uint64_t>(wrote);
  }
  CHECK(fixture.slots->redirected(pair.slot) > sent);
  CHECK(must(read_tcp_counters(pair.client_side.get())).written == sent);
}

TEST_CASE("A backend that sends with zero-copy notifications is left to its own socket") {
  SockFixture fixture;
  LocalPair pair(fixture);
  pair.add_target();
  pair.grant();
  set_option(pair.backend.get(), SOL_SOCKET, SO_ZEROCOPY, 1);
  send_all(pair.backend.get(), "answer");
  CHECK(fixture.counter(SOCK_MSG_PASS_ULP) == 1);
  CHECK(receive(pair.backend_side.get(), 6) == "answer");
}

TEST_CASE("Rule 12: no plaintext leaves once the backend has switched kernel TLS on") {
  SockFixture fixture;
  LocalPair pair(fixture);
  pair.add_target();
  pair.grant();
  send_all(pair.backend.get(), "handshake");
  CHECK(receive(pair.client.get(), 9) == "handshake");
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) == 1);
  if (::setsockopt(pair.backend.get(), IPPROTO_TCP, TCP_ULP, "tls", 4) != 0) {
    MESSAGE("this kernel has no kTLS (CONFIG_TLS): rule 12 is not tested here");
    return;
  }
  tls12_crypto_info_aes_gcm_128 keys{};
  keys.info.version = TLS_1_2_VERSION;
  keys.info.cipher_type = TLS_CIPHER_AES_GCM_128;
  // Stable kernels of 2026 (tried: 6.1.192) refuse keys on a socket with an sk_msg program; a TLS
  // library then encrypts by itself, and its writes must take the normal path.
  const bool encrypts = ::setsockopt(pair.backend.get(), SOL_TLS, TLS_TX, &keys, sizeof(keys)) == 0;
  if (!encrypts) MESSAGE("this kernel refuses kTLS on a socket that was caught");
  const std::string secret = "a secret of the backend";
  send_all(pair.backend.get(), secret);
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) == 1);
  CHECK(fixture.counter(SOCK_MSG_PASS_ULP) == 1);
  CHECK(receive_now(pair.client.get()).empty());
  REQUIRE(wait_for(pair.backend_side.get(), POLLIN, 1000));
  const auto record = receive_now(pair.backend_side.get());
  if (!encrypts) {
    CHECK(record == secret);
    return;
  }
  // RFC 5246: application data, version 1.2, 8 bytes of nonce and 16 of tag around the text.
  CHECK(record.size() == 5 + 8 + secret.size() + 16);
  CHECK(record.substr(0, 3) == "\x17\x03\x03");
  CHECK(record.find("secret") == std::string::npos);
}

TEST_CASE("A caught backend may be let go under full traffic") {
  SockFixture fixture;
  for (int round = 0; round < 20; round++) {
    LocalPair pair(fixture);
    pair.add_target();
    pair.grant();
    constexpr std::uint64_t total = 4 << 20;
    EdgeWriter writer;
    std::thread backend([&] { writer.run(pair.backend.get(), total); });
    std::thread proxy([&] { relay(pair); });
    std::thread breaker([&] {
      ::usleep(static_cast<useconds_t>(round * 100));
      fixture.slots->release_backend(pair.slot);
    });
    CHECK(read_stream_slowly(pair.client.get(), total));
    backend.join();
    proxy.join();
    breaker.join();
    CHECK_FALSE(writer.stalled);
  }
}

TEST_CASE("Rule 13: a connection that was not announced is not touched") {
  SockFixture fixture;
  auto [near, far] = connected();
  send_all(far.get(), "hello");
  CHECK(receive(near.get(), 5) == "hello");
  CHECK(fixture.counter(SOCK_CAPTURES) == 0);
  CHECK(fixture.counter(SOCK_MSG_PASS_UNKNOWN) == 0);
}

TEST_CASE("Rule 13: an announcement is used up by one connection and removed after a failed one") {
  SockFixture fixture;
  LocalPair pair(fixture);
  CHECK(fixture.counter(SOCK_CAPTURES) == 1);
  CHECK_FALSE(fixture.has("REGISTERED", socket_cookie(pair.backend_side.get())));

  auto refused = tcp_socket();
  const auto cookie = socket_cookie(refused.get());
  const auto slot = fixture.slots->take(cookie).value();
  must(fixture.slots->expect_backend(slot, pair.client_cookie));
  CHECK(fixture.has("REGISTERED", cookie));
  CHECK_THROWS(connect_to(refused.get(), 1));
  fixture.slots->give_back(slot);
  CHECK_FALSE(fixture.has("REGISTERED", cookie));
}

TEST_CASE("Rule 13: the same four-tuple in another network namespace is not ours") {
  SockFixture fixture;
  const NetNamespace ours;
  const NetNamespace foreign;
  constexpr std::uint16_t backend_port = 4433;
  constexpr std::uint16_t proxy_port = 20001;
  const auto listen = [&] { return Listener::open(backend_port); };
  const auto our_listener = ours.run(listen);
  const auto foreign_listener = foreign.run(listen);
  const auto socket = [&] {
    auto fd = tcp_socket();
    auto address = loopback(proxy_port);
    check(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), "bind");
    return fd;
  };
  ours.run([&] {
    teach(*fixture.slots, our_listener);
    return true;
  });
  const auto our_side = ours.run(socket);
  const auto foreign_side = foreign.run(socket);
  // Our accepted socket becomes established only with the first data, which leaves a gap for the
  // other connection.
  set_option(our_listener.fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, 10);
  const auto [client, client_side] = connected();
  const auto slot = fixture.slots->take(socket_cookie(our_side.get())).value();
  must(fixture.slots->expect_backend(slot, socket_cookie(client_side.get())));
  connect_to(our_side.get(), backend_port);

  connect_to(foreign_side.get(), backend_port);
  const auto foreign_backend = foreign_listener.accept();
  CHECK(fixture.counter(SOCK_CAPTURE_MISMATCHES) == 1);
  CHECK_FALSE(fixture.slots->caught(slot));
  send_all(foreign_backend.get(), "private");
  CHECK(receive(foreign_side.get(), 7) == "private");

  send_all(our_side.get(), "request");
  const auto our_backend = our_listener.accept();
  CHECK(fixture.slots->caught(slot));
  CHECK(fixture.counter(SOCK_CAPTURES) == 1);
}
