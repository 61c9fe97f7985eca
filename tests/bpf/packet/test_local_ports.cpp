#include "bpf/packet/local_ports.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <array>
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

// Sets the range in /proc/sys of the calling thread's namespace.
void set_port_range(int first, int last) {
  std::ofstream file("/proc/sys/net/ipv4/ip_local_port_range");
  file << first << ' ' << last << std::flush;
  REQUIRE(file.good());
}

std::uint16_t local_port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return from_sockaddr(address)->port;
}

// A connection to the listener whose port the kernel chose.
UniqueFd connected_to(std::uint16_t listener) {
  UniqueFd fd = tcp_socket();
  REQUIRE(allow_holding(fd.get()));
  connect_to(fd.get(), listener);
  return fd;
}

}  // namespace

TEST_CASE("the kernel chooses no port that is held, though nothing is connected with it any more") {
  in_own_network([] {
    set_port_range(40'000, 40'007);
    const auto listener = Listener::open(30'000);
    PortCounts counts;
    LocalPorts ports({.holders = 4, .sharing_from = 4}, counts);
    std::set<std::uint16_t> held;
    for (int i = 0; i < 4; ++i) {
      const auto connection = connected_to(listener.port);
      const std::uint16_t port = local_port_of(connection.get());
      REQUIRE(ports.hold(backend(listener.port), port));
      held.insert(port);
      const linger reset{.l_onoff = 1, .l_linger = 0};  // Leaves no TIME_WAIT.
      setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    CHECK(held.size() == 4);
    CHECK(ports.holders() == 4);
    std::set<std::uint16_t> chosen;
    std::vector<UniqueFd> connections;
    for (int i = 0; i < 4; ++i) {
      connections.push_back(connected_to(listener.port));
      chosen.insert(local_port_of(connections.back().get()));
    }
    for (const auto port : chosen) CHECK(!held.contains(port));
    CHECK(chosen.size() == 4);
    auto address = loopback(listener.port);
    const auto fifth = tcp_socket();
    CHECK(connect(fifth.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == -1);
    CHECK(errno == EADDRNOTAVAIL);
  });
}

TEST_CASE("few holders are not shared, and many serve other backends") {
  in_own_network([] {
    PortCounts counts;
    LocalPorts ports({.holders = 3, .sharing_from = 2}, counts);
    REQUIRE(ports.hold(backend(1), 40'000));
    CHECK(!ports.share(backend(2)));
    REQUIRE(ports.hold(backend(1), 40'001));
    const std::set shared = {ports.share(backend(2)), ports.share(backend(2))};
    CHECK(shared == std::set<std::optional<std::uint16_t>>{40'000, 40'001});
    CHECK(!ports.share(backend(2)));  // Both of its tuples are in use.
    CHECK(!ports.share(backend(1)));
    CHECK(ports.holders() == 2);
    CHECK(counts.shared.value() == 2);
  });
}

TEST_CASE("each backend gets every held port before the kernel chooses another one") {
  in_own_network([] {
    constexpr std::uint32_t held = 100;
    PortCounts counts;
    LocalPorts ports({.holders = held, .sharing_from = held}, counts);
    for (std::uint16_t i = 0; i < held; ++i) REQUIRE(ports.hold(backend(1), 40'000 + i));
    std::array<std::set<std::uint16_t>, 2> shared;
    for (std::uint32_t i = 0; i < held; ++i) {
      for (const std::size_t other : {0UZ, 1UZ}) {
        const auto port = ports.share(backend(static_cast<std::uint16_t>(2 + other)));
        REQUIRE(port);
        CHECK(shared[other].insert(*port).second);
      }
    }
    CHECK(!ports.share(backend(2)));
  });
}

TEST_CASE("a link-local backend is the same one with and without its interface") {
  in_own_network([] {
    PortCounts counts;
    LocalPorts ports({.holders = 1, .sharing_from = 1}, counts);
    Endpoint target = *parse_endpoint("[fe80::1]:443");
    REQUIRE(ports.hold(target, 40'000));  // Restored: the keys of packets have no scope.
    target.scope = 2;
    CHECK(!ports.share(target));
    ports.release(target, 40'000, false, 0);
    CHECK(ports.holders() == 0);
  });
}

TEST_CASE("our own sockets connect from one held port to many backends at once") {
  in_own_network([] {
    PortCounts counts;
    LocalPorts ports({.holders = 1, .sharing_from = 1}, counts);
    REQUIRE(ports.hold(backend(1), 40'000));
    std::vector<UniqueFd> connections;
    for (const auto& listener : {Listener::open(), Listener::open()}) {
      const auto port = ports.share(backend(listener.port));
      REQUIRE(port);
      connections.push_back(tcp_socket());
      const auto bound = bind_local_port(connections.back().get(), AF_INET, *port);
      REQUIRE_MESSAGE(bound, bound.error().what);
      connect_to(connections.back().get(), listener.port);
      CHECK(local_port_of(connections.back().get()) == 40'000);
    }
  });
}

TEST_CASE("a tuple that was used rests, and a port is held until its last tuple has rested") {
  in_own_network([] {
    PortCounts counts;
    LocalPorts ports({.holders = 1, .sharing_from = 1, .rest_ms = 60'000}, counts);
    REQUIRE(ports.hold(backend(1), 40'000));
    REQUIRE(ports.share(backend(2)) == 40'000);
    ports.release(backend(2), 40'000, true, 1000);
    ports.expire(60'999);
    CHECK(!ports.share(backend(2)));
    ports.expire(61'000);
    CHECK(ports.share(backend(2)) == 40'000);
    ports.release(backend(2), 40'000, false, 61'000);
    CHECK(ports.share(backend(2)) == 40'000);
    ports.release(backend(1), 40'000, false, 61'000);
    CHECK(ports.holders() == 1);
    ports.release(backend(2), 40'000, false, 61'000);
    CHECK(ports.holders() == 0);
    CHECK(!ports.share(backend(3)));
  });
}

TEST_CASE("a tuple is held once, and holders have an end") {
  in_own_network([] {
    PortCounts counts;
    LocalPorts ports({.holders = 1, .sharing_from = 1}, counts);
    REQUIRE(ports.hold(backend(1), 40'000));
    CHECK(!ports.hold(backend(1), 40'000));
    CHECK(!ports.hold(backend(1), 40'001));
    CHECK(counts.exhausted.value() == 1);
    REQUIRE(ports.hold(backend(2), 40'000));
    ports.release(backend(1), 40'000, false, 0);
    ports.release(backend(2), 40'000, false, 0);
    CHECK(ports.hold(backend(1), 40'001));
  });
}

TEST_CASE("a port from which another program has connections is held too") {
  in_own_network([] {
    set_port_range(40'000, 40'000);
    const auto theirs = Listener::open(30'000);
    const auto ours = Listener::open(30'001);
    auto other = tcp_socket();  // Without SO_REUSEADDR.
    connect_to(other.get(), theirs.port);
    auto connection = connected_to(ours.port);
    REQUIRE(local_port_of(connection.get()) == local_port_of(other.get()));
    other.reset();  // Into TIME_WAIT, or about to.
    PortCounts counts;
    LocalPorts ports({}, counts);
    CHECK(ports.hold(backend(ours.port), 40'000));
    CHECK(counts.refused.value() == 0);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    connection.reset();
    auto address = loopback(ours.port);
    const auto late = tcp_socket();
    CHECK(connect(late.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == -1);
    CHECK(errno == EADDRNOTAVAIL);
  });
}

TEST_CASE("a port that another program has bound is held beside it, and both have it in use") {
  in_own_network([] {
    const auto other = tcp_socket();
    auto address = loopback(40'000);
    REQUIRE(bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    PortCounts counts;
    LocalPorts ports({}, counts);
    CHECK(ports.hold(backend(1), 40'000));
    CHECK(counts.refused.value() == 0);
    const auto listener = Listener::open();
    connect_to(other.get(), listener.port);
    CHECK(local_port_of(other.get()) == 40'000);
  });
}

TEST_CASE("a port is refused where no descriptor is left for it") {
  in_own_network([] {
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    PortCounts counts;
    LocalPorts ports({}, counts);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    const bool held = ports.hold(backend(1), 40'000);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(!held);
    CHECK(counts.refused.value() == 1);
    CHECK(ports.holders() == 0);
  });
}
