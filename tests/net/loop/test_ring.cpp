#include "net/loop/ring.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "support/faults.h"
#include "support/tcp_peer.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::int64_t wait_limit_ms = std::chrono::milliseconds(wait_limit).count();

Ring new_ring(unsigned entries = 64) {
  auto ring = Ring::create(entries);
  REQUIRE(ring);
  return std::move(*ring);
}

// Turns until there are `count` completions.
std::vector<Completion> completions(Ring& ring, std::size_t count) {
  std::vector<Completion> got;
  while (got.size() < count) {
    const std::size_t before = got.size();
    REQUIRE(ring.turn(wait_limit_ms));
    ring.for_each_completion([&](const Completion& completion) { got.push_back(completion); });
    REQUIRE(got.size() > before);
  }
  return got;
}

UniqueFd new_eventfd() {
  UniqueFd fd = UniqueFd::adopt(eventfd(0, EFD_CLOEXEC));
  REQUIRE(fd);
  return fd;
}

void signal_eventfd(const UniqueFd& fd) {
  const std::uint64_t one = 1;
  REQUIRE(write(fd.get(), &one, sizeof one) == sizeof one);
}

}  // namespace

TEST_CASE("a tag comes through user_data as it was") {
  for (const Side side : {Side::client, Side::backend}) {
    const OpTag tag{.op = Op::watch, .side = side, .generation = 65'535, .slot = 0xfedcba98};
    const OpTag back = unpack(pack(tag));
    CHECK(back.op == tag.op);
    CHECK(back.side == tag.side);
    CHECK(back.generation == tag.generation);
    CHECK(back.slot == tag.slot);
  }
}

TEST_CASE("a turn without completions ends when its time has passed") {
  Ring ring = new_ring();
  const UniqueFd quiet = new_eventfd();
  std::array<std::uint8_t, 8> count{};
  ring.read(quiet.get(), count, {.op = Op::wake});
  for (const std::int64_t wait_ms : {0, 1, 20}) {
    CHECK(ring.turn(wait_ms));
    ring.for_each_completion([](const Completion&) { FAIL_CHECK("nothing has happened"); });
  }
}

TEST_CASE("a read completes with its tag when there is something to read") {
  Ring ring = new_ring();
  const UniqueFd fd = new_eventfd();
  std::array<std::uint8_t, 8> count{};
  ring.read(fd.get(), count, {.op = Op::wake, .slot = 7});
  REQUIRE(ring.turn(0));
  signal_eventfd(fd);
  const auto got = completions(ring, 1);
  CHECK(got[0].tag.op == Op::wake);
  CHECK(got[0].tag.slot == 7);
  CHECK(got[0].result == 8);
}

TEST_CASE("a cancel ends the operation of that tag and no other") {
  Ring ring = new_ring();
  const UniqueFd fd = new_eventfd();
  for (std::uint16_t generation = 1; generation <= 2; ++generation) {
    ring.poll(fd.get(), POLLIN, {.op = Op::watch, .generation = generation, .slot = 3});
  }
  ring.cancel({.op = Op::watch, .generation = 1, .slot = 3});
  std::map<std::uint16_t, int> results;
  for (const Completion& completion : completions(ring, 2)) {
    if (completion.tag.op == Op::watch) results[completion.tag.generation] = completion.result;
  }
  CHECK(results == std::map<std::uint16_t, int>{{1, -ECANCELED}});
  signal_eventfd(fd);
  const auto got = completions(ring, 1);
  CHECK(got[0].tag.generation == 2);
  CHECK((got[0].result & POLLIN) != 0);
}

TEST_CASE("a cancel without a target gives only its own completion") {
  Ring ring = new_ring();
  ring.cancel({.op = Op::send, .generation = 1, .slot = 3});
  CHECK(completions(ring, 1)[0].tag.op == Op::cancel);
}

TEST_CASE("one accept request accepts until it is cancelled") {
  constexpr OpTag tag{.op = Op::accept, .slot = 5};
  Ring ring = new_ring();
  const TcpListener listener;
  ring.accept_multishot(listener.fd(), tag);
  std::vector<TcpPeer> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(TcpPeer::connect(listener.endpoint()));
    const auto got = completions(ring, 1);
    REQUIRE(got[0].result >= 0);
    CHECK(got[0].tag.slot == tag.slot);
    CHECK((got[0].flags & IORING_CQE_F_MORE) != 0);
    close(got[0].result);
  }
  ring.cancel(tag);
  for (const Completion& completion : completions(ring, 2)) {
    if (completion.tag.op == Op::cancel) continue;
    CHECK(completion.result == -ECANCELED);
    CHECK((completion.flags & IORING_CQE_F_MORE) == 0);
  }
}

TEST_CASE("a connect says whether somebody listens") {
  Ring ring = new_ring();
  const TcpListener listener;
  const RefusingEndpoint refusing;
  for (const auto& [endpoint, expected] :
       {std::pair(listener.endpoint(), 0), std::pair(refusing.endpoint(), -ECONNREFUSED)}) {
    const UniqueFd fd = UniqueFd::adopt(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_storage address;
    const socklen_t length = to_sockaddr(endpoint, address);
    ring.connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length, {.op = Op::connect});
    CHECK(completions(ring, 1)[0].result == expected);
  }
}

TEST_CASE("a send that may not wait says how much went out, and the next that nothing does") {
  Ring ring = new_ring();
  TcpListener listener;
  TcpPeer sender = TcpPeer::connect(listener.endpoint());
  TcpPeer receiver = listener.accept();
  const auto bytes = pattern(32 << 20);
  ring.send(sender.fd(), bytes, MSG_DONTWAIT, {.op = Op::send});
  std::int32_t last = completions(ring, 1)[0].result;
  CHECK(last > 0);
  CHECK(static_cast<std::size_t>(last) < bytes.size());
  while (last > 0) {
    ring.send(sender.fd(), bytes, MSG_DONTWAIT, {.op = Op::send});
    last = completions(ring, 1)[0].result;
  }
  CHECK(last == -EAGAIN);
}

TEST_CASE("a send to a socket that is gone is an error, not a signal") {
  Ring ring = new_ring();
  TcpListener listener;
  TcpPeer sender = TcpPeer::connect(listener.endpoint());
  sender.send_fin();
  ring.send(sender.fd(), pattern(8), 0, {.op = Op::send});
  CHECK(completions(ring, 1)[0].result == -EPIPE);
}

TEST_CASE("more requests than the ring has entries are submitted in parts, and none is lost") {
  constexpr std::uint32_t requests = 1000;
  Ring ring = new_ring(8);
  const UniqueFd fd = new_eventfd();
  for (std::uint32_t i = 0; i < requests; ++i) {
    ring.poll(fd.get(), POLLIN, {.op = Op::resolver, .slot = i});
  }
  signal_eventfd(fd);
  std::vector<int> seen(requests);
  for (const Completion& completion : completions(ring, requests)) ++seen[completion.tag.slot];
  CHECK(std::ranges::count(seen, 1) == requests);
}

TEST_CASE("requests that the kernel does not take wait for it, in their order, and nothing spins") {
  constexpr std::uint32_t requests = 100;
  std::optional<Faults> shortage;
  FaultPlan plan{.seed = 1};
  plan.rate(Fault::submit) = 1000;
  shortage.emplace(plan);
  Ring ring = new_ring(8);
  std::array<UniqueFd, requests> fds;
  for (std::uint32_t i = 0; i < requests; ++i) {
    fds[i] = new_eventfd();
    ring.poll(fds[i].get(), POLLIN, {.op = Op::resolver, .slot = i});
    signal_eventfd(fds[i]);
  }
  for (int turn = 0; turn < 3; ++turn) {
    CHECK(ring.turn(0));
    ring.for_each_completion([](const Completion&) { FAIL_CHECK("nothing was submitted"); });
  }
  CHECK(Faults::injected(Fault::submit) <= requests + 3);
  shortage.reset();
  std::vector<std::uint32_t> order;
  for (const Completion& completion : completions(ring, requests)) {
    order.push_back(completion.tag.slot);
  }
  CHECK(std::ranges::is_sorted(order));
  CHECK(order.size() == requests);
}

TEST_CASE("what a handler queues while completions are looked at is not lost either") {
  constexpr std::uint32_t rounds = 500;
  Ring ring = new_ring(8);
  const UniqueFd fd = new_eventfd();
  signal_eventfd(fd);
  std::uint32_t queued = 0;
  std::uint32_t completed = 0;
  const auto queue = [&] {
    if (queued == rounds) return;
    ring.poll(fd.get(), POLLIN, {.op = Op::resolver, .slot = queued++});
  };
  for (int i = 0; i < 16; ++i) queue();
  while (completed < rounds) {
    REQUIRE(ring.turn(wait_limit_ms));
    ring.for_each_completion([&](const Completion&) {
      ++completed;
      queue();
      queue();
    });
  }
  CHECK(completed == rounds);
}

TEST_CASE("a ring that is moved goes on where it was") {
  Ring first = new_ring();
  const UniqueFd fd = new_eventfd();
  first.poll(fd.get(), POLLIN, {.op = Op::resolver, .slot = 9});
  REQUIRE(first.turn(0));
  Ring second = std::move(first);
  signal_eventfd(fd);
  CHECK(completions(second, 1)[0].tag.slot == 9);
}

TEST_CASE("the probe agrees with what can be created") {
  const RingFeatures features = probe_ring();
  CHECK(features.available);
  CHECK(features.reason.empty());
}
