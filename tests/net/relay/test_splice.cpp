#include "net/relay/splice.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "net/socket.h"
#include "support/tcp_peer.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("what is filled from one socket drains into the other, and FIN shows as 0") {
  const auto listener =
      listen_on({.name = "a", .address = *parse_endpoint("127.0.0.1:0")}, true, {});
  REQUIRE(listener);
  TcpPeer from = TcpPeer::connect(local_endpoint(listener->get()));
  const UniqueFd source = UniqueFd::adopt(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  TcpPeer to = TcpPeer::connect(local_endpoint(listener->get()));
  const UniqueFd target = UniqueFd::adopt(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  bound_splice_waits(source.get());
  const std::string text(10'000, 'x');
  from.send(text);
  from.send_fin();
  const auto splice = Splice::open();
  REQUIRE(splice);
  ssize_t filled = 0;
  while (true) {
    const ssize_t n = splice->fill(source.get());
    if (n == -EAGAIN) continue;  // The wait has ended: the bytes are on their way.
    REQUIRE(n >= 0);
    if (n == 0) break;
    filled += n;
  }
  CHECK(filled == static_cast<ssize_t>(text.size()));
  CHECK(splice->held() == text.size());
  while (splice->held() > 0) REQUIRE(splice->drain(target.get(), 1) > 0);
  CHECK(to.receive_text(text.size()) == text);
}

TEST_CASE("a worker's pipes are bounded, and one that comes back with bytes is not used again") {
  SplicePool pool;
  std::vector<std::unique_ptr<Splice>> borrowed;
  while (auto splice = pool.borrow()) borrowed.push_back(std::move(splice));
  CHECK(borrowed.size() == limits::splices_max);
  pool.give_back(std::move(borrowed.back()));
  borrowed.pop_back();
  CHECK(pool.borrow() != nullptr);
}
