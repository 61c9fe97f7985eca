#include "bpf/sockhash/tcp_counters.h"

#include <doctest/doctest.h>

#include "bpf/sockhash/loopback_pair.h"
#include "support/tcp_pair.h"

using namespace sni;
using namespace sni::test;

namespace {

std::uint64_t written(int fd) {
  const auto counters = read_tcp_counters(fd);
  REQUIRE(counters);
  return counters->written;
}

// Fills the buffers while the reader reads nothing.
std::uint64_t fill(int fd) {
  const auto bytes = test_stream(0, 64 * 1024);
  std::uint64_t sent = 0;
  for (;;) {
    const auto wrote = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote < 0) return sent;
    sent += static_cast<std::uint64_t>(wrote);
  }
}

}  // namespace

TEST_CASE("Written bytes are counted once, sent or not, without the FIN") {
  auto [near, far] = connected(64 * 1024);
  const auto sent = fill(far.get());
  CHECK(written(far.get()) == sent);
  SUBCASE("a FIN that waits behind the bytes") {}
  SUBCASE("a FIN that was sent") {
    CHECK(receive(near.get(), sent).size() == sent);
  }
  check(::shutdown(far.get(), SHUT_WR), "shutdown");
  CHECK(written(far.get()) == sent);
  receive(near.get(), sent + 1);
  CHECK(written(far.get()) == sent);
}
