#include "bpf/packet/local_ports.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <fstream>
#include <set>

#include "tests/support/own_network.h"
#include "tests/support/tcp_pair.h"

using namespace sni;
using namespace sni::test;

namespace {

Endpoint backend(std::uint16_t port) {
  return {.ip = IpAddress::v4(127, 0, 0, 1), .port = port};
}

// As /proc/sys of the calling thread's namespace has it.
void set_port_range(int first, int last) {
  std::ofstream file("/proc/sys/net/ipv4/ip_local_port_range");
  file << first << ' ' << last << std::flush;
  REQUIRE(file.good());
}

std::uint16_t taken(LocalPorts& ports, const Endpoint& target, std::uint64_t now_ms = 0) {
  const auto port = ports.take(target, now_ms);
  REQUIRE(port);
  return *port;
}

std::uint16_t local_port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return from_sockaddr(address)->port;
}

}  // namespace

TEST_CASE("one port serves many backends, and a backend gets none twice while it lives") {
  in_own_network([] {
    LocalPorts ports({.ports = 3});
    const std::set one = {taken(ports, backend(1)), taken(ports, backend(1)),
                          taken(ports, backend(1))};
    CHECK(one.size() == 3);
    CHECK(!ports.take(backend(1), 0));
    const std::set two = {taken(ports, backend(2)), taken(ports, backend(2)),
                          taken(ports, backend(2))};
    CHECK(two == one);
    CHECK(ports.reserved() == 3);
    CHECK(ports.live() == 6);
    CHECK(ports.counters().taken == 6);
    CHECK(ports.counters().exhausted == 1);
  });
}

TEST_CASE("a tuple rests after its connection, and one that was never used does not") {
  in_own_network([] {
    LocalPorts ports({.ports = 1, .rest_ms = 60'000});
    const auto port = taken(ports, backend(1), 1000);
    ports.release(backend(1), port, false, 1000);
    CHECK(taken(ports, backend(1), 1000) == port);
    ports.release(backend(1), port, true, 2000);
    CHECK(!ports.take(backend(1), 61'999));
    CHECK(taken(ports, backend(1), 62'000) == port);
    CHECK(ports.live() == 1);
  });
}

TEST_CASE("the kernel never chooses a reserved port by itself") {
  in_own_network([] {
    set_port_range(40'000, 40'007);
    const auto listener = Listener::open(30'000);
    LocalPorts ports({.ports = 4});
    std::set<std::uint16_t> reserved;
    for (int i = 0; i < 4; ++i) reserved.insert(taken(ports, backend(listener.port)));
    std::set<std::uint16_t> chosen;
    std::vector<UniqueFd> connections;
    for (int i = 0; i < 4; ++i) {
      connections.push_back(tcp_socket());
      connect_to(connections.back().get(), listener.port);
      chosen.insert(local_port_of(connections.back().get()));
    }
    for (const auto port : chosen) CHECK(!reserved.contains(port));
    CHECK(chosen.size() == 4);
    auto address = loopback(listener.port);
    const auto fifth = tcp_socket();
    CHECK(connect(fifth.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == -1);
    CHECK(errno == EADDRNOTAVAIL);
  });
}

TEST_CASE("our own sockets connect from a reserved port, to many backends at once") {
  in_own_network([] {
    const auto one = Listener::open();
    const auto two = Listener::open();
    LocalPorts ports({.ports = 1});
    std::vector<UniqueFd> connections;
    for (const auto* listener : {&one, &two}) {
      const auto port = taken(ports, backend(listener->port));
      connections.push_back(tcp_socket());
      const auto bound = bind_local_port(connections.back().get(), AF_INET, port);
      REQUIRE_MESSAGE(bound, bound.error().what);
      connect_to(connections.back().get(), listener->port);
      CHECK(local_port_of(connections.back().get()) == port);
    }
  });
}

TEST_CASE("ports of flows that outlived a process are reserved again and not given out") {
  in_own_network([] {
    LocalPorts ports({.ports = 2});
    REQUIRE(ports.adopt(backend(1), 40'001));
    CHECK(ports.reserved() == 1);
    const auto other = taken(ports, backend(1));
    CHECK(other != 40'001);
    CHECK(!ports.take(backend(1), 0));
    CHECK(taken(ports, backend(2)) == 40'001);
    ports.release(backend(1), 40'001, true, 0);
    CHECK(taken(ports, backend(1), 60'000) == 40'001);
    CHECK(!ports.adopt(backend(1), 40'003));
    CHECK(ports.live() == 3);
  });
}

TEST_CASE("backends that are idle make room for others") {
  in_own_network([] {
    LocalPorts ports({.ports = 1, .backends = 2, .rest_ms = 1000});
    const auto port = taken(ports, backend(1));
    taken(ports, backend(2));
    CHECK(!ports.take(backend(3), 0));
    ports.release(backend(1), port, true, 0);
    CHECK(!ports.take(backend(3), 999));
    CHECK(taken(ports, backend(3), 1000) == port);
  });
}

TEST_CASE("where the kernel gives no port the connection goes without") {
  in_own_network([] {
    set_port_range(40'000, 40'000);
    LocalPorts ports({.ports = 8});
    CHECK(taken(ports, backend(1)) == 40'000);
    CHECK(!ports.take(backend(1), 0));
    CHECK(ports.counters().refused == 1);
    CHECK(ports.counters().exhausted == 1);
  });
}
