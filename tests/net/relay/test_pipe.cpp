#include "net/relay/pipe.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "support/buffer_ring.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::uint64_t no_limit = UINT64_MAX / 2;
constexpr ParkedOwner owner{.slot = 1, .generation = 1};

std::string held(const Pipe& pipe) {
  return {pipe.held().begin(), pipe.held().end()};
}

// Pipes that hold enough buffers to make the pool scarce.
struct Scarcity {
  explicit Scarcity(BufferRing& buffers) : pool(buffers.pool()) {
    while (!pool.scarce()) pipes.emplace_back().hold(pool, buffers.fill("x"), 1);
  }
  ~Scarcity() {
    for (Pipe& pipe : pipes) pipe.release(pool, parking);
  }
  BufferPool& pool;
  RelayBudget budget;
  Parking parking{budget};
  std::vector<Pipe> pipes;
};

}  // namespace

TEST_CASE("a pipe holds what it received until the last byte is sent") {
  BufferRing buffers;
  RelayBudget budget;
  Parking parking{budget};
  Pipe pipe;
  CHECK(pipe.held().empty());
  pipe.hold(buffers.pool(), buffers.fill("hello"), 5);
  CHECK(held(pipe) == "hello");
  CHECK_FALSE(pipe.sent(buffers.pool(), parking, 2));
  CHECK(held(pipe) == "llo");
  CHECK(pipe.sent(buffers.pool(), parking, 3));
  CHECK(pipe.held().empty());
  CHECK(pipe.bytes_sent() == 5);
}

TEST_CASE("bytes of somebody else are sent from where they are") {
  BufferRing buffers;
  RelayBudget budget;
  Parking parking{budget};
  const auto flight = pattern(100);
  Pipe pipe;
  pipe.hold(flight);
  CHECK(pipe.held().data() == flight.data());
  CHECK(pipe.stall(buffers.pool(), parking, owner, 0));
  CHECK(pipe.held().data() == flight.data());
  CHECK(pipe.sent(buffers.pool(), parking, 100));
}

TEST_CASE("a stalled pipe keeps its buffer while there are enough") {
  BufferRing buffers;
  RelayBudget budget;
  Parking parking{budget};
  Pipe pipe;
  pipe.hold(buffers.pool(), buffers.fill("hello"), 5);
  const std::uint8_t* place = pipe.held().data();
  CHECK(pipe.stall(buffers.pool(), parking, owner, 0));
  CHECK(pipe.stalled());
  CHECK(pipe.held().data() == place);
  CHECK(budget.parked == 0);
  CHECK(pipe.sent(buffers.pool(), parking, 5));
  CHECK_FALSE(pipe.stalled());
}

TEST_CASE("where buffers are scarce a stalled pipe parks what is left, and gives its buffer back") {
  BufferRing buffers;
  Scarcity scarcity(buffers);
  RelayBudget budget;
  Parking parking{budget};
  Pipe pipe;
  pipe.hold(buffers.pool(), buffers.fill("hello"), 5);
  pipe.sent(buffers.pool(), parking, 2);
  CHECK(pipe.stall(buffers.pool(), parking, owner, 3));
  CHECK(held(pipe) == "llo");
  CHECK(budget.parked == 3);
  scarcity.pipes.back().release(buffers.pool(), parking);
  CHECK_FALSE(buffers.pool().scarce());
  CHECK_FALSE(pipe.sent(buffers.pool(), parking, 1));
  CHECK(pipe.stall(buffers.pool(), parking, owner, 3));
  CHECK(budget.parked == 3);
  CHECK(pipe.sent(buffers.pool(), parking, 2));
  CHECK(budget.parked == 0);
}

TEST_CASE("a pipe that is released in the middle gives its budget back whole") {
  BufferRing buffers;
  const Scarcity scarcity(buffers);
  RelayBudget budget;
  Parking parking{budget};
  Pipe pipe;
  pipe.hold(buffers.pool(), buffers.fill("hello"), 5);
  CHECK(pipe.stall(buffers.pool(), parking, owner, no_limit));
  CHECK_FALSE(pipe.sent(buffers.pool(), parking, 4));
  pipe.release(buffers.pool(), parking);
  CHECK(budget.parked == 0);
  CHECK(pipe.held().empty());
}

TEST_CASE("what the budget does not allow is not parked, and not charged") {
  BufferRing buffers;
  const Scarcity scarcity(buffers);
  RelayBudget budget;
  Parking parking{budget};
  Pipe pipe;
  pipe.hold(buffers.pool(), buffers.fill("hello"), 5);
  CHECK_FALSE(pipe.stall(buffers.pool(), parking, owner, 4));
  CHECK(budget.parked == 0);
  CHECK(held(pipe) == "hello");
  pipe.release(buffers.pool(), parking);
}

TEST_CASE(
    "after a stall a pipe receives little at a time until enough sends went through at once") {
  BufferRing buffers;
  RelayBudget budget;
  Parking parking{budget};
  Pipe pipe;
  const auto pass = [&](bool stall) {
    pipe.hold(buffers.pool(), buffers.fill("x"), 1);
    if (stall) CHECK(pipe.stall(buffers.pool(), parking, owner, 0));
    pipe.sent(buffers.pool(), parking, 1);
  };
  CHECK(pipe.receive_length() == limits::buffer_bytes);
  pass(true);
  for (std::uint32_t i = 0; i < limits::stall_forgotten_sends; ++i) {
    CHECK(pipe.receive_length() == limits::stalled_receive_bytes);
    pass(false);
  }
  CHECK(pipe.receive_length() == limits::buffer_bytes);
}

TEST_CASE("whatever stalls and goes on, bytes stay in order and nothing stays out") {
  std::mt19937 random(1);
  BufferRing buffers;
  const Scarcity scarcity(buffers);
  RelayBudget budget;
  Parking parking{budget};
  Pipe pipe;
  std::string sent;
  std::string received;
  for (int round = 0; round < 500; ++round) {
    const std::string text = std::to_string(random());
    received += text;
    pipe.hold(buffers.pool(), buffers.fill(text), static_cast<std::uint32_t>(text.size()));
    for (bool all = false; !all;) {
      if (random() % 3 == 0) CHECK(pipe.stall(buffers.pool(), parking, owner, no_limit));
      const auto count = static_cast<std::uint32_t>(random() % (pipe.held().size() + 1));
      sent += held(pipe).substr(0, count);
      all = pipe.sent(buffers.pool(), parking, count);
    }
  }
  CHECK(sent == received);
  CHECK(pipe.bytes_sent() == sent.size());
  CHECK(budget.parked == 0);
}
