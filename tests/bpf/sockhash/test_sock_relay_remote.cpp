// redirect_skb behind its gate: a remote backend, represented by a loopback socket that is not
// captured.

#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "bpf/sockhash/remote_pair.h"
#include "bpf/sockhash/resent.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::uint32_t bound = 256 * 1024;

}  // namespace

TEST_CASE("Bytes that arrive from the backend leave by the client's socket") {
  SockFixture fixture;
  RemotePair pair(fixture);
  pair.arm(bound);
  send_all(pair.backend.get(), "answer");
  CHECK(receive(pair.client.get(), 6) == "answer");
  CHECK(receive_now(pair.backend_side.get()).empty());
  CHECK(fixture.counter(SOCK_SKB_REDIRECTS) == 1);
  CHECK(fixture.slots->redirected(pair.slot) == 6);
}

TEST_CASE("Rule 1: a reader that stops makes the host hold no more than the bound") {
  SockFixture fixture;
  RemotePair pair(fixture, 64 * 1024);
  set_nonblocking(pair.backend.get());
  std::uint64_t sent = 0;
  const auto flood = [&] {
    const auto bytes = test_stream(0, 64 * 1024);
    for (int idle = 0; idle < 5 && sent < 64 << 20;) {
      const auto wrote = ::send(pair.backend.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (wrote < 0) {
        idle += !wait_for(pair.backend.get(), POLLOUT, 100);
      } else {
        sent += static_cast<std::uint64_t>(wrote);
      }
    }
  };
  SUBCASE("with the gate") {
    pair.arm(bound);
    flood();
    // The sent bytes are in the sender's, the source's and the client's buffers.
    CHECK(sent < 32 << 20);
    CHECK(fixture.slots->backlog_peak(pair.slot) <= bound);
    CHECK(fixture.counter(SOCK_SKB_PASS_BACKLOG) > 0);
  }
  SUBCASE("without it the host accepts all bytes") {
    pair.arm(0xffffffff);
    flood();
    CHECK(sent >= 64 << 20);
    CHECK(fixture.slots->backlog_peak(pair.slot) > 16 << 20);
  }
}

TEST_CASE("The gate loses, doubles and moves nothing when the client reads in bursts") {
  SockFixture fixture;
  RemotePair pair(fixture, 64 * 1024);
  pair.arm(bound);
  constexpr std::uint64_t total = 24 << 20;
  std::thread backend([&] {
    send_stream(pair.backend.get(), total);
    ::shutdown(pair.backend.get(), SHUT_WR);
  });
  std::thread proxy([&] { pair.relay(); });
  CHECK(read_stream(pair.client.get(), total, {.pause_us = 2000, .every = 1 << 20}));
  backend.join();
  proxy.join();
  CHECK(fixture.slots->backlog_peak(pair.slot) <= bound);
  CHECK(fixture.slots->redirected(pair.slot) + fixture.slots->passed(pair.slot) == total);
  CHECK(fixture.slots->redirected(pair.slot) > 0);
  CHECK(fixture.slots->passed(pair.slot) > 0);
}

TEST_CASE("Rule 2: a shutdown before the backlog is drained destroys it, one after it does not") {
  SockFixture fixture;
  RemotePair pair(fixture, 64 * 1024);
  pair.arm(64 << 20);
  constexpr std::uint64_t total = 16 << 20;
  send_stream(pair.backend.get(), total);
  pair.backend.reset();
  pair.wait_for_hang_up();
  std::uint64_t got = 0;
  std::thread client([&] { got = count_stream(pair.client.get()); });
  SUBCASE("at once") {
    REQUIRE_FALSE(fixture.slots->target_drained(pair.slot, pair.client_side.get()));
    ::shutdown(pair.client_side.get(), SHUT_WR);
    client.join();
    CHECK(got < total);
  }
  SUBCASE("after the drain test") {
    pair.wait_until_drained();
    ::shutdown(pair.client_side.get(), SHUT_WR);
    client.join();
    CHECK(got == total);
  }
}

TEST_CASE("Rule 3: a FIN alone is passed, and the client's socket stays usable") {
  SockFixture fixture;
  RemotePair pair(fixture);
  pair.arm(bound);
  send_all(pair.backend.get(), "last");
  CHECK(receive(pair.client.get(), 4) == "last");
  ::shutdown(pair.backend.get(), SHUT_WR);
  pair.wait_for_hang_up();
  CHECK(receive_now(pair.backend_side.get()).empty());
  CHECK(fixture.counter(SOCK_SKB_PASS_EMPTY) == 1);
  int error = 0;
  socklen_t size = sizeof(error);
  check(::getsockopt(pair.client_side.get(), SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
  CHECK(error == 0);
  send_all(pair.client_side.get(), "more");
  CHECK(receive(pair.client.get(), 4) == "more");
}

TEST_CASE("Rule 4: bytes that were read before the hand-over are not sent again") {
  SockFixture fixture;
  RemotePair pair(fixture);
  constexpr std::size_t head = 20'000;  // One sk_buff, and several cuts.
  constexpr std::size_t total = 30'000;
  send_all(pair.backend.get(), test_stream(0, total));
  SUBCASE("though the sk_buff that held them comes whole") {
    pair.received = receive(pair.backend_side.get(), head).size();
    pair.arm(bound);
    CHECK(receive(pair.client.get(), total - head) == test_stream(head, total - head));
    CHECK(fixture.counter(SOCK_SKB_REPEATED_BYTES) == head);
    ::shutdown(pair.backend.get(), SHUT_WR);
    pair.wait_for_hang_up();
    const auto counters = must(read_tcp_counters(pair.backend_side.get()));
    CHECK(fixture.slots->source_drained(pair.slot, counters, true));
  }
  SUBCASE("all of it read") {
    send_all(pair.client_side.get(), receive(pair.backend_side.get(), total));
    pair.received = total;
    pair.arm(bound);
    send_all(pair.backend.get(), test_stream(total, 100));
    CHECK(receive(pair.client.get(), total + 100) == test_stream(0, total + 100));
    CHECK(fixture.counter(SOCK_SKB_REPEATED_BYTES) == 0);
  }
}

TEST_CASE("Bytes that TCP receives twice are sent once") {
  SockFixture fixture;
  RemotePair pair(fixture);
  constexpr std::size_t sent = 30'000;
  constexpr std::size_t again = 1000;
  constexpr std::size_t total = 31'500;
  const auto send_and_resend = [&] {
    send_all(pair.backend.get(), test_stream(0, sent));
    while (must(read_tcp_counters(pair.backend_side.get())).received < sent) ::usleep(100);
    pair.backend = resent(std::move(pair.backend), again);
    send_all(pair.backend.get(), test_stream(sent - again, total - sent + again));
  };
  SUBCASE("while they are redirected") {
    pair.arm(bound);
    send_and_resend();
    CHECK(receive(pair.client.get(), total) == test_stream(0, total));
    CHECK(fixture.slots->redirected(pair.slot) == total);
  }
  SUBCASE("while they pass") {
    pair.add_source();
    send_and_resend();
    CHECK(receive(pair.backend_side.get(), total) == test_stream(0, total));
    CHECK(fixture.slots->passed(pair.slot) == total);
  }
  CHECK(fixture.counter(SOCK_SKB_REPEATED_BYTES) == again);
  CHECK(receive_now(pair.client.get()).empty());
  CHECK(receive_now(pair.backend_side.get()).empty());
}

TEST_CASE("Rule 5: bytes queued before the hand-over wait for the kick") {
  SockFixture fixture;
  RemotePair pair(fixture);
  send_all(pair.backend.get(), "early");
  REQUIRE(wait_for(pair.backend_side.get(), POLLIN, 1000));
  pair.arm_without_kick(bound);
  CHECK_FALSE(wait_for(pair.client.get(), POLLIN, 200));
  kick_source(pair.backend_side.get());
  CHECK(receive(pair.client.get(), 5) == "early");
}

TEST_CASE("Rule 6: a source that leaves the redirect stays in its map, and loses nothing") {
  SockFixture fixture;
  RemotePair pair(fixture);
  pair.arm(bound);
  constexpr std::uint64_t head = 1000;
  constexpr std::uint64_t total = 32 << 20;
  send_stream(pair.backend.get(), head);
  while (fixture.slots->redirected(pair.slot) < head) ::usleep(100);
  fixture.slots->disarm(pair.slot);
  std::thread backend([&] { send_stream(pair.backend.get(), total, 64 * 1024, head); });
  std::thread proxy([&] {
    // The gate really opens and closes while bytes arrive.
    for (int i = 0; i < 200; i++) {
      fixture.slots->disarm(pair.slot);
      // The first time until something has passed, however busy the machine is.
      do ::usleep(300);
      while (fixture.slots->passed(pair.slot) == 0);
      pair.forward_pending();
      fixture.slots->arm(pair.slot, bound);
      ::usleep(300);
    }
    pair.relay();
  });
  CHECK(read_stream(pair.client.get(), total, {.to_end = false}));
  ::shutdown(pair.backend.get(), SHUT_WR);
  backend.join();
  proxy.join();
  CHECK(fixture.slots->redirected(pair.slot) + fixture.slots->passed(pair.slot) == total);
}

TEST_CASE("Rule 7: redirected bytes wake a reader in vain, but not one that waits for the end") {
  SockFixture fixture;
  RemotePair pair(fixture);
  pair.arm(bound);
  constexpr int messages = 200;
  short events = 0;
  SUBCASE("bytes") {
    events = POLLIN;
  }
  SUBCASE("the end") {
    events = POLLRDHUP;
  }
  long sleeps = 0;
  std::thread proxy([&] {
    CHECK(wait_for(pair.backend_side.get(), events, wait_limit_ms));
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    sleeps = usage.ru_nvcsw;
  });
  for (int i = 0; i < messages; i++) {
    send_all(pair.backend.get(), "0123456789");
    CHECK(receive(pair.client.get(), 10) == "0123456789");
    ::usleep(300);
  }
  ::shutdown(pair.backend.get(), SHUT_WR);
  proxy.join();
  CHECK(fixture.counter(SOCK_SKB_REDIRECTS) == messages);
  if (events == POLLIN)
    CHECK(sleeps > messages / 4);
  else
    CHECK(sleeps < messages / 10);
}

TEST_CASE("Rule 9: the client's bytes are received while its own backlog is stuck") {
  SockFixture fixture;
  RemotePair pair(fixture, 64 * 1024);
  pair.arm(16 << 20);
  send_stream(pair.backend.get(), 12 << 20);
  while (fixture.slots->redirected(pair.slot) < 12 << 20) ::usleep(1000);
  REQUIRE_FALSE(fixture.slots->target_drained(pair.slot, pair.client_side.get()));
  send_all(pair.client.get(), "stop");
  CHECK(receive(pair.client_side.get(), 4) == "stop");
}

TEST_CASE("Rule 14: userspace is notified of every byte that passes") {
  SockFixture fixture;
  RemotePair pair(fixture);
  // Never armed: each message passes, and the notice is the only way to learn of it.
  pair.add_source();
  constexpr std::uint64_t rounds = 20'000;
  constexpr std::size_t message = 16;
  REQUIRE(fixture.slots->fall_asleep(pair.slot));
  std::thread backend([&] { send_stream(pair.backend.get(), rounds * message, message); });
  bool told = wait_for(fixture.slots->notice_fd(), POLLIN, wait_limit_ms);
  std::thread proxy([&] {
    std::uint64_t read = 0;
    while (told && read < rounds * message) {
      if (fixture.slots->fall_asleep(pair.slot)) {
        told = wait_for(fixture.slots->notice_fd(), POLLIN, wait_limit_ms);
        while (const auto slot = fixture.slots->take_notice()) CHECK(*slot == pair.slot);
        continue;
      }
      read += pair.forward_pending();
    }
  });
  CHECK(read_stream(pair.client.get(), rounds * message, {.to_end = false}));
  backend.join();
  proxy.join();
  CHECK(told);
  CHECK(fixture.counter(SOCK_NOTICES) > 0);
  CHECK(fixture.counter(SOCK_NOTICES_LOST) == 0);
}

TEST_CASE("A torn pair moves no more bytes, and userspace is notified") {
  SockFixture fixture;
  RemotePair pair(fixture);
  pair.arm(bound);
  REQUIRE(fixture.slots->fall_asleep(pair.slot));
  fixture.sockhash->slot(pair.slot).torn = 1;
  send_all(pair.backend.get(), "lost");
  CHECK(wait_for(fixture.slots->notice_fd(), POLLIN, wait_limit_ms));
  CHECK(fixture.slots->torn(pair.slot));
  CHECK(fixture.slots->pending(pair.slot) == 4);
  CHECK(receive_now(pair.backend_side.get()).empty());
  CHECK(receive_now(pair.client.get()).empty());
}

TEST_CASE("A client's socket that has seen a FIN cannot be a target") {
  SockFixture fixture;
  RemotePair pair(fixture);
  ::shutdown(pair.client.get(), SHUT_WR);
  REQUIRE(wait_for(pair.client_side.get(), POLLRDHUP, 1000));
  CHECK_FALSE(fixture.slots->add_target(pair.client_side.get(), pair.client_cookie));
}

TEST_CASE("A client that resets leaves the backend's bytes to userspace") {
  SockFixture fixture;
  RemotePair pair(fixture);
  pair.arm(bound);
  pair.client_side.reset();
  send_all(pair.backend.get(), "answer");
  CHECK(receive(pair.backend_side.get(), 6) == "answer");
  CHECK(fixture.counter(SOCK_SKB_MISSES) == 1);
}
