#include "bpf/packet/conntrack.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "bpf/packet/tcp_repair.h"
#include "tests/support/own_network.h"
#include "tests/support/skip.h"
#include "tests/support/tcp_pair.h"
#include "tests/support/tcp_segment.h"

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

// Whether a packet as from this socket, but far beyond all that it has sent, passes the rules. A
// byte that follows it tells that it does not.
bool passes_out_of_window(const UniqueFd& from) {
  const auto out = UniqueFd::adopt(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  const auto seen = UniqueFd::adopt(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
  REQUIRE(out);
  REQUIRE(seen);
  const auto position = read_tcp_position(from.get());
  REQUIRE(position);
  const Endpoint own = local_end(from.get());
  const std::uint32_t far = position->write_seq + (1 << 28);
  const Bytes packet = ip_packet({.source = own,
                                  .target = far_end(from.get()),
                                  .seq = far,
                                  .ack = position->received_seq,
                                  .options = {},
                                  .payload = {}});
  sockaddr_in address = loopback(0);
  REQUIRE(sendto(out.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&address),
                 sizeof address) > 0);
  send_all(from.get(), "x");
  for (;;) {
    REQUIRE(wait_for(seen.get(), POLLIN, wait_limit_ms));
    Bytes got(2000);
    got.resize(
        static_cast<std::size_t>(check(recv(seen.get(), got.data(), got.size(), 0), "recv")));
    if ((got[20] << 8 | got[21]) != own.port) continue;
    if (get32(got, 24) == far) return true;
    if (get32(got, 24) == position->write_seq && got.size() > 20U + got[32] / 16 * 4) return false;
  }
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

TEST_CASE("the entry of a connection tells from either end whether it is translated") {
  in_own_network([] {
    if (!track_everything()) return skip("needs nf_conntrack");
    auto conntrack = Conntrack::open();
    REQUIRE(conntrack);
    const auto find = [&](const UniqueFd& fd) {
      return conntrack->find(local_end(fd.get()), far_end(fd.get()));
    };
    using Entry = Conntrack::Entry;
    const auto plain = connected();
    const auto plain_v6 = connected_v6();
    for (const auto* fd : {&plain.first, &plain.second, &plain_v6.first, &plain_v6.second}) {
      CHECK(find(*fd) == Entry::plain);
    }
    Endpoint other = local_end(plain.first.get());
    other.port ^= 1;
    CHECK(conntrack->find(other, far_end(plain.first.get())) == Entry::none);

    const auto listener = Listener::open();
    run_tool("nft add chain inet t d { type nat hook output priority -100 ; }");
    run_tool("nft add rule inet t d tcp dport 9 dnat ip to 127.0.0.1:" +
             std::to_string(listener.port));
    const auto redirected = tcp_socket();
    connect_to(redirected.get(), 9);
    CHECK(find(redirected) == Entry::translated);
    CHECK(find(listener.accept()) == Entry::translated);

    run_tool("nft add chain inet t s { type nat hook postrouting priority 100 ; }");
    run_tool("nft add rule inet t s tcp dport " + std::to_string(listener.port) +
             " snat ip to 127.0.0.9");
    const auto masked = tcp_socket();
    connect_to(masked.get(), listener.port);
    CHECK(find(masked) == Entry::translated);
    CHECK(find(listener.accept()) == Entry::translated);
  });
}

TEST_CASE("packets of a tolerated connection are valid whatever their numbers are") {
  in_own_network([] {
    if (!track_everything()) return skip("needs nf_conntrack");
    run_tool("nft insert rule inet t c ct state invalid drop");
    auto conntrack = Conntrack::open();
    REQUIRE(conntrack);
    const auto pair = connected();
    CHECK(!passes_out_of_window(pair.first));
    CHECK(!passes_out_of_window(pair.second));
    Endpoint near = local_end(pair.first.get());
    const Endpoint far = far_end(pair.first.get());
    CHECK(conntrack->tolerate(far, near));
    CHECK(passes_out_of_window(pair.first));
    CHECK(passes_out_of_window(pair.second));

    near.port ^= 1;
    CHECK(!conntrack->tolerate(near, far));
    CHECK(tracked() == 1);
  });
}
