#include "net/relay/room_wait.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include "core/unique_fd.h"

using namespace sni;

namespace {

// A stream that its reader has left full, or empty.
struct Stream {
  UniqueFd writer;
  UniqueFd reader;

  explicit Stream(bool full) {
    std::array<int, 2> fds{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    writer = UniqueFd::adopt(fds[0]);
    reader = UniqueFd::adopt(fds[1]);
    const std::vector<char> bytes(4096);
    while (full && send(writer.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
    }
  }
};

// The result of one wait after so many bytes were sent, once its completion was recognised.
std::int32_t wait_for_room(Ring& ring, RoomWait& wait, const Stream& stream, std::uint64_t sent) {
  wait.start(ring, stream.writer.get(), sent, OpTag{.op = Op::send});
  std::optional<std::int32_t> result;
  while (!result) {
    REQUIRE(ring.turn(10'000));
    ring.for_each_completion([&](const Completion& completion) { result = completion.result; });
  }
  CHECK(wait.take(*result));
  return *result;
}

}  // namespace

TEST_CASE("a wait for room ends when there is some, and only its own completion is taken") {
  auto ring = Ring::create(8);
  REQUIRE(ring);
  RoomWait wait;
  CHECK(!wait.take(POLLOUT));
  const Stream stream(false);
  CHECK((wait_for_room(*ring, wait, stream, 0) & POLLOUT) != 0);
  CHECK(!wait.take(1));
}

TEST_CASE(
    "a reader that has sent its FIN is tried after pauses, which double while nothing moves") {
  using Clock = std::chrono::steady_clock;
  auto ring = Ring::create(8);
  REQUIRE(ring);
  RoomWait wait;
  const Stream stream(true);
  REQUIRE(shutdown(stream.reader.get(), SHUT_WR) == 0);
  CHECK((wait_for_room(*ring, wait, stream, 1) & (POLLOUT | POLLRDHUP)) == POLLRDHUP);
  const auto begin = Clock::now();
  for (int i = 0; i < 7; ++i) CHECK(wait_for_room(*ring, wait, stream, 1) == -ETIME);
  // 0.5 + 1 + ... + 32 ms.
  CHECK(Clock::now() - begin >= std::chrono::microseconds(63'500));
  ring->pause(OpTag{.op = Op::watch}, std::chrono::milliseconds(32));
  wait.start(*ring, stream.writer.get(), 2, OpTag{.op = Op::send});
  std::vector<Op> ended;
  while (ended.size() < 2) {
    REQUIRE(ring->turn(10'000));
    ring->for_each_completion([&](const Completion& each) { ended.push_back(each.tag.op); });
  }
  CHECK(ended.front() == Op::send);
}
