#include "net/server/listener_set.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "net/server/cpu_count.h"
#include "support/reserved_port.h"

using namespace sni;
using namespace sni::test;

namespace {

Config listening_on(const std::vector<Endpoint>& addresses) {
  Config config;
  for (const Endpoint& address : addresses) {
    config.listeners.push_back(
        {.name = address.to_string(), .address = address, .protocol = Protocol::tls});
  }
  return config;
}

std::vector<ListenerConfig> adopt(ListenerSet& set, const Config& config) {
  auto change = set.prepare(config);
  REQUIRE(change);
  return set.commit(std::move(*change));
}

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

// Whether a socket listens there.
bool answers(const Endpoint& endpoint) {
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr(endpoint, address);
  const UniqueFd fd = UniqueFd::adopt(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0;
}

}  // namespace

TEST_CASE("each worker is lent a socket of its own, once") {
  const ReservedPort port;
  ListenerSet set(2);
  CHECK(adopt(set, listening_on({port.endpoint()})).empty());
  const auto first = set.lend(0);
  const auto second = set.lend(1);
  REQUIRE(first.size() == 1);
  REQUIRE(second.size() == 1);
  CHECK(first[0].id == second[0].id);
  CHECK(first[0].socket.fd() != second[0].socket.fd());
  CHECK_FALSE(set.lend(0)[0].socket);
}

TEST_CASE("a socket of a removed listener is closed once its worker has given it back") {
  const ReservedPort port;
  ListenerSet set(1);
  adopt(set, listening_on({port.endpoint()}));
  auto lent = set.lend(0);
  const int fd = lent[0].socket.fd();
  const auto removed = adopt(set, listening_on({}));
  REQUIRE(removed.size() == 1);
  CHECK(removed[0].address == port.endpoint());
  CHECK(is_open(fd));
  CHECK(set.retired() == 1);
  lent.clear();
  CHECK_FALSE(is_open(fd));
  CHECK(set.retired() == 0);
  CHECK_FALSE(answers(port.endpoint()));
}

TEST_CASE("a socket that nobody has borrowed is closed with its listener") {
  const ReservedPort port;
  ListenerSet set(2);
  adopt(set, listening_on({port.endpoint()}));
  CHECK(answers(port.endpoint()));
  set.retire_all();
  CHECK_FALSE(answers(port.endpoint()));
}

TEST_CASE("a socket that a worker gives back while its listener stays is lent again") {
  const ReservedPort port;
  ListenerSet set(1);
  adopt(set, listening_on({port.endpoint()}));
  const int fd = set.lend(0)[0].socket.fd();  // Given back at the end of the line.
  CHECK(answers(port.endpoint()));
  CHECK(set.lend(0)[0].socket.fd() == fd);
}

TEST_CASE("a worker that is pinned gets the connections that arrive on its CPU") {
  const auto cpus = allowed_cpus();
  REQUIRE(cpus.size() >= 2);
  const ReservedPort port;
  ListenerSet set(2, {}, {cpus[0], cpus[1]});
  adopt(set, listening_on({port.endpoint()}));
  const std::array lent{set.lend(0), set.lend(1)};
  for (std::size_t worker = 0; worker < 2; ++worker) {
    // On loopback a packet arrives on the CPU that sends it.
    std::thread([&] {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpus[worker], &one);
      REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
      for (int i = 0; i < 16; ++i) CHECK(answers(port.endpoint()));
    }).join();
    for (int i = 0; i < 16; ++i) {
      const int fd = accept4(lent[worker][0].socket.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      CHECK(UniqueFd::adopt(fd));
    }
  }
}

TEST_CASE("a change that cannot be had leaves everything as it was") {
  const ReservedPort first;
  const ReservedPort second;
  const TcpListener stranger;
  ListenerSet set(1);
  adopt(set, listening_on({first.endpoint()}));
  const auto lent = set.lend(0);
  const auto refused = set.prepare(listening_on({second.endpoint(), stranger.endpoint()}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().sys_errno == EADDRINUSE);
  CHECK_FALSE(answers(second.endpoint()));
  CHECK(answers(first.endpoint()));
  CHECK(set.lend(0)[0].id == lent[0].id);
}

TEST_CASE("a listener that comes back waits until the worker has let go of the old one") {
  const ReservedPort port;
  ListenerSet set(1);
  adopt(set, listening_on({port.endpoint()}));
  auto lent = set.lend(0);
  const ListenerId before = lent[0].id;
  set.retire_all();
  std::jthread worker([&lent] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    lent.clear();
  });
  adopt(set, listening_on({port.endpoint()}));
  CHECK(set.lend(0)[0].id != before);
}
