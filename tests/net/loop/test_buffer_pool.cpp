#include "net/loop/buffer_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "support/buffer_ring.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("a receive takes a buffer with the bytes in it") {
  BufferRing buffers;
  const BufferId id = buffers.fill("hello");
  const std::uint8_t* bytes = buffers.pool().take(id);
  CHECK(std::string(bytes, bytes + 5) == "hello");
  buffers.pool().give(id);
}

TEST_CASE("no buffer is handed out twice, and each is usable to its last byte") {
  BufferRing buffers;
  std::set<BufferId> ids;
  std::vector<std::uint8_t*> memory;
  for (std::uint32_t i = 0; i < limits::buffer_count; ++i) {
    const BufferId id = buffers.fill("x");
    REQUIRE(ids.insert(id).second);
    memory.push_back(buffers.pool().take(id));
    memory.back()[limits::buffer_bytes - 1] = static_cast<std::uint8_t>(i);
  }
  std::ranges::sort(memory);
  CHECK(std::ranges::adjacent_find(memory, [](auto* a, auto* b) {
          return b - a < static_cast<std::ptrdiff_t>(limits::buffer_bytes);
        }) == memory.end());
}

TEST_CASE(
    "without a buffer a receive ends with -ENOBUFS, loses no byte, and a given one revives it") {
  BufferRing buffers;
  std::vector<BufferId> ids;
  while (ids.size() < limits::buffer_count) {
    ids.push_back(buffers.fill("x"));
    buffers.pool().take(ids.back());
  }
  const Completion refused = buffers.receive("later");
  CHECK(refused.result == -ENOBUFS);
  CHECK((refused.flags & IORING_CQE_F_BUFFER) == 0);
  buffers.pool().give(ids.back());
  const Completion received = buffers.receive("");
  REQUIRE(received.result == 5);
  CHECK((received.flags >> IORING_CQE_BUFFER_SHIFT) == ids.back());
}

TEST_CASE("the buffer used last is used next") {
  BufferRing buffers;
  std::set<BufferId> ids;
  for (int i = 0; i < 1000; ++i) {
    const BufferId id = buffers.fill("x");
    buffers.pool().take(id);
    buffers.pool().give(id);
    ids.insert(id);
  }
  CHECK(ids.size() <= limits::buffers_published + 1);
}

TEST_CASE("the pool is scarce as soon as half of its buffers are out, and no longer than that") {
  BufferRing buffers;
  std::vector<BufferId> ids;
  for (std::uint32_t out = 0; out < limits::buffer_count / 2; ++out) {
    CHECK_FALSE(buffers.pool().scarce());
    ids.push_back(buffers.fill("x"));
    buffers.pool().take(ids.back());
  }
  CHECK(buffers.pool().scarce());
  buffers.pool().give(ids.back());
  CHECK_FALSE(buffers.pool().scarce());
}
