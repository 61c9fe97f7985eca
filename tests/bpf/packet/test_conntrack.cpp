#include "bpf/packet/conntrack.h"

#include <doctest/doctest.h>

#include <fstream>
#include <vector>

#include "tests/support/own_network.h"
#include "tests/support/skip.h"
#include "tests/support/tcp_pair.h"

using namespace sni;
using namespace sni::test;

namespace {

int tracked() {
  int count = -1;
  std::ifstream("/proc/sys/net/netfilter/nf_conntrack_count") >> count;
  return count;
}

// A namespace has conntrack's hooks once a rule needs them.
bool track_everything() {
  if (access("/proc/sys/net/netfilter/nf_conntrack_count", F_OK) != 0) return false;
  run_tool("nft add table inet t");
  run_tool("nft add chain inet t c { type filter hook input priority 0 ; }");
  run_tool("nft add rule inet t c ct state new accept");
  return true;
}

Endpoint local_end(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return *from_sockaddr(address);
}

Endpoint far_end(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return *from_sockaddr(address);
}

std::pair<UniqueFd, UniqueFd> connected_v6() {
  const auto listener = UniqueFd::adopt(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  REQUIRE(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(listener.get(), 8) == 0);
  socklen_t size = sizeof address;
  REQUIRE(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  auto near = UniqueFd::adopt(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(near.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  auto far = UniqueFd::adopt(accept(listener.get(), nullptr, nullptr));
  REQUIRE(far);
  return {std::move(near), std::move(far)};
}

}  // namespace

TEST_CASE("the entry of a connection is deleted, whichever end is named first, and no other") {
  in_own_network([] {
    if (!track_everything()) return skip("needs nf_conntrack");
    auto conntrack = Conntrack::open();
    REQUIRE(conntrack);
    const auto kept = connected();
    const auto one = connected();
    const auto two = connected_v6();
    REQUIRE(tracked() == 3);
    CHECK(conntrack->remove(local_end(one.first.get()), far_end(one.first.get())));
    CHECK(tracked() == 2);
    CHECK(conntrack->remove(far_end(two.first.get()), local_end(two.first.get())));
    CHECK(tracked() == 1);
    CHECK(!conntrack->remove(local_end(one.first.get()), far_end(one.first.get())));
    CHECK(tracked() == 1);
  });
}
