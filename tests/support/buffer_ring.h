#pragma once

// A ring with a buffer pool and a connection to receive from, instead of a worker's.

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "net/loop/buffer_pool.h"
#include "net/loop/ring.h"
#include "support/tcp_peer.h"

namespace sni::test {

class BufferRing {
 public:
  BufferRing() {
    auto ring = Ring::create(64);
    REQUIRE(ring);
    ring_.emplace(std::move(*ring));
    auto pool = BufferPool::create(*ring_);
    REQUIRE(pool);
    pool_ = std::move(*pool);
    sender_ = TcpPeer::connect(listener_.endpoint());
    receiver_ = listener_.accept();
  }

  BufferPool& pool() { return *pool_; }

  // Sends `text`, then receives what is available.
  Completion receive(std::string_view text) {
    sender_.send(text);
    ring_->receive(receiver_.fd(), BufferPool::group, limits::buffer_bytes, false,
                   {.op = Op::receive});
    std::optional<Completion> got;
    while (!got) {
      REQUIRE(ring_->turn(-1));
      ring_->for_each_completion([&](const Completion& completion) { got = completion; });
    }
    return *got;
  }
  // A buffer that the kernel has put `text` into.
  BufferId fill(std::string_view text) {
    const Completion got = receive(text);
    REQUIRE(got.result == static_cast<std::int32_t>(text.size()));
    REQUIRE((got.flags & IORING_CQE_F_BUFFER) != 0);
    return static_cast<BufferId>(got.flags >> IORING_CQE_BUFFER_SHIFT);
  }

 private:
  std::optional<Ring> ring_;
  std::unique_ptr<BufferPool> pool_;
  TcpListener listener_;
  TcpPeer sender_;
  TcpPeer receiver_;
};

}  // namespace sni::test
