#include "net/relay/splice.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "net/socket.h"
#include "support/tcp_peer.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::uint64_t at_ms = 1'000'000;

void move(BulkGauge& gauge, int times, std::uint32_t bytes) {
  for (int i = 0; i < times; ++i) gauge.moved(bytes, at_ms);
}

BulkGauge gauge_after(int large, int small = 0) {
  BulkGauge gauge;
  move(gauge, large, limits::bulk_bytes);
  move(gauge, small, 1);
  return gauge;
}

// How many large receives it takes until the next one is patient.
int receives_until_patient(BulkGauge& gauge) {
  int receives = 0;
  for (; !gauge.patient() && receives < 10 * limits::patience_begins_max; ++receives) {
    gauge.moved(limits::bulk_bytes, at_ms);
  }
  return receives;
}

}  // namespace

TEST_CASE("a direction is bulk after some large receives and no more after many small ones") {
  CHECK_FALSE(gauge_after(limits::bulk_begins - 1).bulk());
  CHECK(gauge_after(limits::bulk_begins).bulk());
  CHECK(gauge_after(limits::bulk_begins, limits::bulk_forgotten - 1).bulk());
  CHECK_FALSE(gauge_after(limits::bulk_begins, limits::bulk_forgotten).bulk());
  CHECK_FALSE(gauge_after(0, 1000).bulk());
}

TEST_CASE("a direction that found no pipe starts anew") {
  BulkGauge gauge = gauge_after(limits::bulk_begins);
  gauge.refuse();
  CHECK_FALSE(gauge.bulk());
  move(gauge, limits::bulk_begins, limits::bulk_bytes);
  CHECK(gauge.bulk());
}

TEST_CASE("receives of bulk are patient after some large ones in a row") {
  BulkGauge gauge = gauge_after(limits::bulk_begins + limits::patience_begins - 1);
  CHECK_FALSE(gauge.patient());
  gauge.moved(limits::bulk_bytes - 1, at_ms);
  CHECK(receives_until_patient(gauge) == limits::patience_begins);
  gauge.refuse();
  CHECK_FALSE(gauge.patient());
}

TEST_CASE("each receive that waits in vain doubles what makes for patience, up to a bound") {
  BulkGauge gauge = gauge_after(limits::bulk_begins);
  for (int needed = limits::patience_begins; needed <= limits::patience_begins_max; needed *= 2) {
    CHECK(receives_until_patient(gauge) == needed);
    gauge.waited_in_vain();
  }
  CHECK(receives_until_patient(gauge) == limits::patience_begins_max);
}

TEST_CASE("receives that do not wait in vain earn the patience back") {
  BulkGauge gauge = gauge_after(limits::bulk_begins);
  receives_until_patient(gauge);
  for (int i = 0; i < 2; ++i) gauge.waited_in_vain();
  CHECK(receives_until_patient(gauge) == 4 * limits::patience_begins);
  move(gauge, limits::patience_repaid, limits::patience_bytes);
  gauge.waited_in_vain();
  CHECK(receives_until_patient(gauge) == 4 * limits::patience_begins);
}

TEST_CASE("receives are not patient at a rate that keeps everybody awake") {
  BulkGauge gauge = gauge_after(limits::bulk_begins + limits::patience_begins);
  gauge.moved(limits::patience_bytes_per_ms, at_ms);
  gauge.moved(limits::bulk_bytes, at_ms + 1);
  CHECK_FALSE(gauge.patient());
  gauge.moved(limits::bulk_bytes, at_ms + 2);
  CHECK(gauge.patient());
}

TEST_CASE("what is filled from one socket drains into the other, and FIN shows as 0") {
  const auto listener = listen_on({.name = "a", .address = *parse_endpoint("127.0.0.1:0")}, true,
                                  std::chrono::minutes(1));
  REQUIRE(listener);
  TcpPeer from = TcpPeer::connect(local_endpoint(listener->get()));
  const UniqueFd source = UniqueFd::adopt(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  TcpPeer to = TcpPeer::connect(local_endpoint(listener->get()));
  const UniqueFd target = UniqueFd::adopt(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  guard_splice(source.get());
  const std::string text(10'000, 'x');
  from.send(text);
  from.send_fin();
  const auto splice = Splice::open();
  REQUIRE(splice);
  ssize_t filled = 0;
  while (true) {
    const ssize_t n = splice->fill(source.get());
    if (n == -EAGAIN) continue;  // The guard's tick: the bytes are on their way.
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
