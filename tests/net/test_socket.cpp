#include "net/socket.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <string>

#include "bpf/packet/tcp_repair.h"
#include "support/tcp_peer.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

namespace {

const TcpConfig tcp;

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  REQUIRE(getsockopt(fd, level, name, &value, &length) == 0);
  return value;
}

// The two ends of a connection.
struct Pair {
  TcpListener listener;
  TcpPeer client = TcpPeer::connect(listener.endpoint());
  TcpPeer server = listener.accept();
};

}  // namespace

TEST_CASE("workers listen on one address, each with a socket of its own") {
  ListenerConfig config = listener_named("main");
  const auto first = listen_on(config, true, tcp);
  REQUIRE(first);
  config.address = local_endpoint(first->get());
  const auto second = listen_on(config, false, tcp);
  REQUIRE(second);
  CHECK(local_endpoint(second->get()) == config.address);
}

TEST_CASE("the first socket of an address is refused where somebody listens already") {
  const TcpListener other;
  ListenerConfig config = listener_named("main");
  config.address = other.endpoint();
  const auto refused = listen_on(config, true, tcp);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().sys_errno == EADDRINUSE);
  CHECK(refused.error().what.find(config.address.to_string()) != std::string::npos);
  CHECK(refused.error().what.find("another process") != std::string::npos);
}

TEST_CASE("a second proxy does not share the address of the first") {
  ListenerConfig config = listener_named("main");
  const auto running = listen_on(config, true, tcp);
  REQUIRE(running);
  config.address = local_endpoint(running->get());
  CHECK_FALSE(listen_on(config, true, tcp));
}

TEST_CASE("an address that no interface has is named in the error") {
  ListenerConfig config = listener_named("main");
  config.address = {.ip = IpAddress::v4(192, 0, 2, 1), .port = 4443};
  const auto refused = listen_on(config, true, tcp);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().sys_errno == EADDRNOTAVAIL);
  CHECK(refused.error().what.find("192.0.2.1:4443") != std::string::npos);
}

TEST_CASE("a listener may wait for an address that no interface has yet") {
  ListenerConfig config = listener_named("main");
  config.freebind = true;
  config.address = {.ip = IpAddress::v4(192, 0, 2, 1), .port = 4443};
  CHECK(listen_on(config, true, tcp));
  config.address.ip = *parse_ip("2001:db8::1");
  CHECK(listen_on(config, true, tcp));
}

TEST_CASE("a socket that is to vanish leaves its peer without a word") {
  Pair pair;
  vanish_on_close(pair.server.fd());
  pair.server.close();
  pollfd end{.fd = pair.client.fd(), .events = POLLIN | POLLRDHUP, .revents = 0};
  if (geteuid() == 0) {
    CHECK(poll(&end, 1, 100) == 0);
  } else {
    CHECK(poll(&end, 1, 1000) == 1);  // Over lo the RST arrives.
  }
}

TEST_CASE("each key of [tcp] reaches the socket") {
  const TcpConfig given{.keepalive_idle = std::chrono::seconds(7),
                        .keepalive_interval = std::chrono::seconds(8),
                        .keepalive_probes = 9,
                        .user_timeout = std::chrono::milliseconds(1234)};
  const auto fd = open_backend_socket(AF_INET, given);
  REQUIRE(fd);
  set_keepalive(fd->get(), given);
  CHECK(option(fd->get(), SOL_SOCKET, SO_KEEPALIVE) != 0);
  CHECK(option(fd->get(), IPPROTO_TCP, TCP_KEEPIDLE) == 7);
  CHECK(option(fd->get(), IPPROTO_TCP, TCP_KEEPINTVL) == 8);
  CHECK(option(fd->get(), IPPROTO_TCP, TCP_KEEPCNT) == 9);
  CHECK(option(fd->get(), IPPROTO_TCP, TCP_USER_TIMEOUT) == 1234);
}

TEST_CASE("accepted sockets are tuned as their listener is") {
  const auto listener = listen_on(listener_named("main"), true, tcp);
  REQUIRE(listener);
  const TcpPeer client = TcpPeer::connect(local_endpoint(listener->get()));
  const UniqueFd accepted = UniqueFd::adopt(accept4(listener->get(), nullptr, nullptr, 0));
  REQUIRE(accepted);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_NODELAY) != 0);
  CHECK(option(accepted.get(), SOL_SOCKET, SO_KEEPALIVE) != 0);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 60);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPINTVL) == 30);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPCNT) == 4);
  // It would replace the number of probes, and end readers that only stall.
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
}

TEST_CASE("backend sockets are blocking, closed on exec, and tuned where they are TCP") {
  for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
    const auto fd = open_backend_socket(family, tcp);
    REQUIRE(fd);
    CHECK(option(fd->get(), SOL_SOCKET, SO_DOMAIN) == family);
    CHECK((fcntl(fd->get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
    if (family != AF_UNIX) CHECK(option(fd->get(), IPPROTO_TCP, TCP_NODELAY) != 0);
  }
  CHECK_FALSE(open_backend_socket(-1, tcp));
}

TEST_CASE("the peer's address is known while the peer is there, and after its reset") {
  Pair pair;
  const Endpoint client = pair.client.local();
  CHECK(peer_of(pair.server.fd()) == client);
  pair.client.send_reset();
  await(pair.server.fd(), POLLIN, "no reset");
  CHECK(peer_of(pair.server.fd()) == client);
  CHECK(peer_of(-1) == Endpoint{});
}

TEST_CASE("unacknowledged bytes are those that the peer has no room for") {
  Pair pair;
  CHECK(unacknowledged_bytes(pair.server.fd()) == 0);
  const auto bytes = pattern(64 << 20);
  while (send(pair.server.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  CHECK(unacknowledged_bytes(pair.server.fd()) > 0);
  CHECK(unacknowledged_bytes(-1) == 0);
}

TEST_CASE("the error of a reset socket is taken once") {
  Pair pair;
  CHECK(take_error(pair.server.fd()) == 0);
  pair.client.send_reset();
  await(pair.server.fd(), POLLIN, "no reset");
  CHECK(take_error(pair.server.fd()) == ECONNRESET);
  CHECK(take_error(pair.server.fd()) == 0);
}

TEST_CASE("a close is a FIN unless it is to be a reset") {
  Pair with_fin;
  with_fin.server.close();
  CHECK(with_fin.client.end() == End::fin);
  Pair with_reset;
  reset_on_close(with_reset.server.fd());
  with_reset.server.close();
  CHECK(with_reset.client.end() == End::reset);
}
