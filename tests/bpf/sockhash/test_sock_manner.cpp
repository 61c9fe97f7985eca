// Which sockets may be captured: only those of a listener whose sockets were observed to be
// nonblocking.

#include <thread>

#include "bpf/sockhash/sock_fixture.h"

using namespace sni;
using namespace sni::test;

namespace {

// Whether a new connection to the listener is captured.
bool catches(SockFixture& fixture, const Listener& listener) {
  const auto near = tcp_socket();
  const auto slot = fixture.slots->take(socket_cookie(near.get())).value();
  must(fixture.slots->expect_backend(slot, 1));
  connect_to(near.get(), listener.port);
  const auto far = listener.accept();
  const bool caught = fixture.slots->caught(slot);
  fixture.slots->give_back(slot);
  return caught;
}

}  // namespace

TEST_CASE(
    "No backend is captured before a connection has shown, often enough, that it is nonblocking") {
  SockFixture fixture;
  const auto listener = Listener::open();
  CHECK_FALSE(catches(fixture, listener));
  teach(*fixture.slots, listener, false, SOCK_LOOKS - 1);
  CHECK_FALSE(catches(fixture, listener));
  CHECK(fixture.counter(SOCK_CAPTURE_LEARNING) == 3);
  CHECK(fixture.counter(SOCK_CAPTURES) == 0);
  teach(*fixture.slots, listener);
  CHECK(catches(fixture, listener));
  CHECK(fixture.counter(SOCK_CAPTURE_LEARNING) == 4);
}

TEST_CASE("A listener with blocking sockets is left alone, whatever the others do") {
  SockFixture fixture;
  const auto listener = Listener::open();
  teach(*fixture.slots, listener, true, 1);
  teach(*fixture.slots, listener);
  CHECK_FALSE(catches(fixture, listener));
  CHECK(fixture.counter(SOCK_CAPTURE_LEARNING) == 1);
  CHECK(fixture.counter(SOCK_CAPTURE_BLOCKING) == 2);
}

TEST_CASE("A program that blocks after its handshake is seen to do so") {
  SockFixture fixture;
  const auto listener = Listener::open();
  const auto near = tcp_socket();
  const auto slot = fixture.slots->take(socket_cookie(near.get())).value();
  must(fixture.slots->expect_backend(slot, 1));
  connect_to(near.get(), listener.port);
  const auto far = listener.accept();
  for (int i = 0; i < SOCK_LOOKS; i++) {
    check(::fcntl(far.get(), F_SETFL, i < 2 ? O_NONBLOCK : 0), "F_SETFL");
    send_all(far.get(), "answer");
    receive(near.get(), 6);
    send_all(near.get(), "request");
    receive(far.get(), 7);
  }
  CHECK_FALSE(catches(fixture, listener));
  CHECK(fixture.counter(SOCK_CAPTURE_BLOCKING) == 1);
}

TEST_CASE("A new listener on a port is learned again, on all addresses or on one") {
  SockFixture fixture;
  auto listener = Listener::open();
  SUBCASE("one address, then the same") {
    teach(*fixture.slots, listener);
    REQUIRE(catches(fixture, listener));
    const auto port = listener.port;
    listener.fd.reset();
    listener = Listener::open(port);
  }
  SUBCASE("one address, then all") {
    teach(*fixture.slots, listener);
    REQUIRE(catches(fixture, listener));
    const auto port = listener.port;
    listener.fd.reset();
    listener = Listener::open(port, INADDR_ANY);
  }
  SUBCASE("all addresses, then one") {
    listener = Listener::open(0, INADDR_ANY);
    teach(*fixture.slots, listener);
    REQUIRE(catches(fixture, listener));
    const auto port = listener.port;
    listener.fd.reset();
    listener = Listener::open(port);
  }
  CHECK_FALSE(catches(fixture, listener));
  CHECK(fixture.counter(SOCK_CAPTURE_LEARNING) == 2);
}

TEST_CASE("The result for one address of a port does not apply to another") {
  SockFixture fixture;
  const auto listener = Listener::open(0, INADDR_ANY);
  teach(*fixture.slots, listener);
  const auto near = tcp_socket();
  const auto slot = fixture.slots->take(socket_cookie(near.get())).value();
  must(fixture.slots->expect_backend(slot, 1));
  auto address = loopback(listener.port);
  address.sin_addr.s_addr = htonl(0x7f000002);
  check(::connect(near.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), "connect");
  const auto far = listener.accept();
  CHECK_FALSE(fixture.slots->caught(slot));
}

TEST_CASE("A caught socket that begins to block is let go by its first acknowledged bytes") {
  SockFixture fixture;
  LocalPair pair(fixture);
  REQUIRE(fixture.slots->caught(pair.slot));
  check(::fcntl(pair.backend.get(), F_SETFL, 0), "F_SETFL");
  // Without the help of userspace: no target, no release_backend().
  send_all(pair.backend.get(), "answer");
  CHECK(receive(pair.backend_side.get(), 6) == "answer");
  send_all(pair.backend_side.get(), "request");
  CHECK(receive(pair.backend.get(), 7) == "request");
  const auto cookie = socket_cookie(pair.backend.get());
  std::uint64_t found = 0;
  CHECK(bpf_map_lookup_elem(fixture.sockhash->map_fd("LOCAL_MAP"), &cookie, &found) != 0);
  CHECK(fixture.slots->blocking(pair.slot));
}

TEST_CASE("A blocking backend is let go, and its recv() does not end before its time") {
  SockFixture fixture;
  LocalPair pair(fixture);
  check(::fcntl(pair.backend.get(), F_SETFL, 0), "F_SETFL");
  pair.add_target();
  pair.grant();
  send_all(pair.backend.get(), "answer");
  CHECK(fixture.counter(SOCK_MSG_PASS_BLOCKING) == 1);
  CHECK(receive(pair.backend_side.get(), 6) == "answer");
  REQUIRE(fixture.slots->blocking(pair.slot));
  fixture.slots->release_backend(pair.slot);
  // The ACK of this FIN would end the recv() of a socket with a psock.
  check(::shutdown(pair.backend.get(), SHUT_WR), "shutdown");
  std::thread client([&] {
    ::usleep(100'000);
    send_all(pair.backend_side.get(), "late");
  });
  CHECK(receive(pair.backend.get(), 4) == "late");
  client.join();

  // By now the listener is known for blocking sockets, and is left alone.
  auto next = tcp_socket();
  const auto slot = fixture.slots->take(socket_cookie(next.get())).value();
  must(fixture.slots->expect_backend(slot, pair.client_cookie));
  connect_to(next.get(), pair.listener.port);
  const auto accepted = pair.listener.accept();
  CHECK_FALSE(fixture.slots->caught(slot));
  CHECK(fixture.counter(SOCK_CAPTURE_BLOCKING) == 1);
}

TEST_CASE("A backend's own FIN makes its socket an ordinary one before the FIN is sent") {
  SockFixture fixture;
  LocalPair pair(fixture);
  check(::fcntl(pair.backend.get(), F_SETFL, 0), "F_SETFL");
  REQUIRE(fixture.slots->caught(pair.slot));
  check(::shutdown(pair.backend.get(), SHUT_WR), "shutdown");
  std::thread proxy([&] {
    ::usleep(100'000);
    send_all(pair.backend_side.get(), "late");
  });
  CHECK(receive(pair.backend.get(), 4) == "late");
  proxy.join();
}
