#include "net/relay/splice.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cerrno>
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

TEST_CASE("whoever has stalled for longest is found, once that is long enough") {
  SplicePool pool;
  StalledSplice first;
  StalledSplice second;
  StalledSplice third;
  pool.stalled(first, 1000);
  pool.stalled(second, 1100);
  pool.stalled(third, 1200);
  pool.stalled(first, 5000);  // It has moved nothing since.
  CHECK(pool.longest_stalled(1000 + splice_stalled_ms - 1) == nullptr);
  CHECK(pool.longest_stalled(1000 + splice_stalled_ms) == &first);
  pool.moved(second);
  pool.moved(first);
  CHECK(pool.longest_stalled(9000) == &third);
  pool.stalled(first, 9000);
  pool.moved(third);
  CHECK(pool.longest_stalled(9000) == nullptr);
  CHECK(pool.longest_stalled(9000 + splice_stalled_ms) == &first);
  pool.moved(first);
  pool.moved(first);
  CHECK(pool.longest_stalled(99'000) == nullptr);
}

TEST_CASE("a pipe is emptied into memory, whole") {
  TcpListener listener;
  TcpPeer from = TcpPeer::connect(listener.endpoint());
  TcpPeer source = listener.accept();
  const auto sent = pattern(100'000);
  from.send(sent);
  const auto splice = Splice::open();
  REQUIRE(splice);
  bound_splice_waits(source.fd());
  while (splice->held() < sent.size()) {
    const ssize_t n = splice->fill(source.fd());
    REQUIRE((n > 0 || n == -EAGAIN));
  }
  std::vector<std::uint8_t> taken(splice->held());
  splice->take_all(taken);
  CHECK((taken == sent));
  CHECK(splice->held() == 0);
}

TEST_CASE("a worker may have fewer pipes than usual, or none") {
  SplicePool none(0);
  CHECK(none.borrow() == nullptr);
  SplicePool one(1);
  const auto splice = one.borrow();
  CHECK(splice != nullptr);
  CHECK(one.borrow() == nullptr);
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
