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

namespace {

constexpr std::uint64_t much = 1 << 30;  // A limits.relay_memory that never runs out.

}  // namespace

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
  RelayBudget budget;
  SplicePool pool(budget);
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
  RelayBudget budget;
  SplicePool none(budget, 0);
  CHECK(none.borrow(much) == nullptr);
  SplicePool one(budget, 1);
  const auto splice = one.borrow(much);
  CHECK(splice != nullptr);
  CHECK(one.borrow(much) == nullptr);
}

TEST_CASE("a worker's pipes are bounded, and one that comes back with bytes is not used again") {
  RelayBudget budget;
  SplicePool pool(budget);
  std::vector<std::unique_ptr<Splice>> borrowed;
  while (auto splice = pool.borrow(much)) borrowed.push_back(std::move(splice));
  CHECK(borrowed.size() == limits::splices_max);
  pool.give_back(std::move(borrowed.back()));
  borrowed.pop_back();
  CHECK(pool.borrow(much) != nullptr);
}

TEST_CASE("all workers' pipes share a quarter of limits.relay_memory, by smaller ones if need be") {
  RelayBudget budget;
  SplicePool one(budget);
  SplicePool other(budget);
  constexpr std::uint64_t relay_memory = 4 << 20;
  std::vector<std::unique_ptr<Splice>> borrowed;
  while (auto splice = one.borrow(relay_memory)) borrowed.push_back(std::move(splice));
  CHECK(borrowed.size() == pipes_least);
  CHECK(budget.in_pipes == pipes_share(relay_memory));
  CHECK(other.borrow(relay_memory) == nullptr);
  CHECK_FALSE(one.full_size());
  one.give_back(std::move(borrowed.back()));
  borrowed.pop_back();
  auto splice = other.borrow(relay_memory);
  REQUIRE(splice != nullptr);
  CHECK(splice->capacity() == pipes_share(relay_memory) / pipes_least);
  other.give_back(std::move(splice));
  for (auto& held : borrowed) one.give_back(std::move(held));
  CHECK(budget.used() == 0);
}
