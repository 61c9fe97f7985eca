#include "bpf/packet/handover.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/skip.h"
#include "tests/support/splice_traffic.h"

using namespace sni;
using namespace sni::test;

namespace {

void in_lab(const std::function<void(SpliceLab&)>& body) {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([&] {
    SpliceLab lab;
    body(lab);
  });
}

LabPlaces remote(const SpliceLab& lab) {
  return {.backend_net = &lab.backend};
}

}  // namespace

TEST_CASE("a handed-over connection carries bytes both ways without the proxy's sockets") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, remote(lab));
    check_taken(hand_over(lab, pair));
    exchange(pair, 4 << 20);
    CHECK(lab.plane->counters()[PACKET_FORWARDED_BYTES] >= 8 << 20);
    check_end(lab, pair, 4 << 20);
  });
}

TEST_CASE("every pair of families can be joined") {
  in_lab([](SpliceLab& lab) {
    const std::string v4 = "198.18.1.1:443", v6 = "[2001:db8:1::1]:443";
    const std::string to_v4 = "198.18.2.2:8443", to_v6 = "[2001:db8:2::2]:8443";
    std::uint64_t flow = 0;
    for (const auto& [listen, backend] :
         {std::pair{v4, to_v4}, {v6, to_v6}, {v4, to_v6}, {v6, to_v4}}) {
      CAPTURE(listen);
      CAPTURE(backend);
      // The IPv6 header is 20 bytes longer, so segments from the IPv4 side must be shorter.
      auto pair = lab_pair(lab,
                           {.listen = listen,
                            .backend = backend,
                            .backend_net = &lab.backend,
                            .backend_mss = listen == v6 && backend == to_v4 ? 1440 : 0},
                           ++flow);
      const auto step = hand_over(lab, pair);
      if (listen == v4 && backend == to_v6) {
        // The listener told the client 1460 before its backend was known.
        CHECK(step.decline == PACKET_DECLINE_MSS);
        continue;
      }
      check_taken(step);
      exchange(pair, 1 << 20);
      check_end(lab, pair, 1 << 20);
    }
  });
}

TEST_CASE("a backend on the proxy's own host is reached through lo in both families") {
  in_lab([](SpliceLab& lab) {
    std::uint64_t flow = 0;
    for (const char* backend : {"127.0.0.1:8443", "[::1]:8443", "198.18.2.1:8443"}) {
      CAPTURE(backend);
      const bool v6 = backend[0] == '[';
      auto pair = lab_pair(lab,
                           {.listen = v6 ? "[2001:db8:1::1]:443" : "198.18.1.1:443",
                            .backend = backend,
                            .backend_mss = v6 ? 1440 : 1460},
                           ++flow);
      check_taken(hand_over(lab, pair));
      exchange(pair, 1 << 20);
      check_end(lab, pair, 1 << 20);
    }
  });
}

// The shortest retransmission timeout is 200 ms (TCP_RTO_MIN), and the second one comes 600 ms after
// the loss.
TEST_CASE("acknowledgements that the transition held back come as soon as the sockets leave") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(
        lab, {.backend = "198.18.2.1:8443", .backend_mss = 1460, .proxy_buffer = 16 << 10});
    Handover handover(*lab.plane, lab.grace, pair.pair,
                      {.quiesce = std::chrono::milliseconds(500),
                       .settle_on_lo = std::chrono::milliseconds(300)});
    const auto step = [&] { return handover.step(std::chrono::steady_clock::now()); };
    while (!handover.begun()) REQUIRE(step().state == HandoverState::waiting);
    const std::string sent = pattern(1 << 20, 7);
    std::jthread sender([&] { send_all(pair.client.get(), sent); });
    HandoverStep last;
    while ((last = step()).state == HandoverState::waiting) std::this_thread::sleep_for(last.again);
    REQUIRE(last.state == HandoverState::spliced);
    const auto left = std::chrono::steady_clock::now();
    pair.client_side.reset();
    pair.backend_side.reset();
    CHECK(receive(pair.backend.get(), sent.size()) == sent);
    CHECK(std::chrono::steady_clock::now() - left < std::chrono::milliseconds(190));
  });
}

// It is no byte of the stream, whenever it comes. The first step reads the positions of the sockets
// some microseconds after it has looked for a FIN, so many times are tried.
TEST_CASE("a FIN that arrives while a hand-over begins shifts no number") {
  in_lab([](SpliceLab& lab) {
    unsigned begun = 0;
    for (unsigned i = 1; i <= 150; ++i) {
      auto pair = lab_pair(lab, remote(lab), i);
      std::atomic<bool> ready = false;
      std::atomic<bool> go = false;
      std::jthread leaver([&] {
        ready = true;
        while (!go) continue;
        const auto when = std::chrono::steady_clock::now() + std::chrono::microseconds(i);
        while (std::chrono::steady_clock::now() < when) continue;
        ::shutdown(pair.client.get(), SHUT_WR);
      });
      while (!ready) std::this_thread::yield();
      go = true;
      const auto last = hand_over(lab, pair);
      leaver.join();
      if (last.state != HandoverState::spliced) continue;
      ++begun;
      send_all(pair.backend.get(), "late");
      CAPTURE(i);
      REQUIRE(wait_for(pair.client.get(), POLLIN, 5'000));
      CHECK(receive(pair.client.get(), 4) == "late");
    }
    CHECK(begun > 0);
  });
}

TEST_CASE("each side can go on for as long as it likes after the other's end") {
  in_lab([](SpliceLab& lab) {
    std::uint64_t flow = 0;
    for (const bool client_first : {true, false}) {
      CAPTURE(client_first);
      auto pair = lab_pair(lab, remote(lab), ++flow);
      check_taken(hand_over(lab, pair));
      const int first = client_first ? pair.client.get() : pair.backend.get();
      const int second = client_first ? pair.backend.get() : pair.client.get();
      send_all(first, "last words");
      CHECK(::shutdown(first, SHUT_WR) == 0);
      CHECK(receive(second, 100) == "last words");
      const auto fin = await_event(lab, PACKET_EVENT_FIN);
      REQUIRE(fin.size() == 1);
      CHECK(fin[0].side == (client_first ? PACKET_CLIENT : PACKET_BACKEND));
      const std::string answer = pattern(1 << 20, 7);
      std::jthread sender([&] { send_all(second, answer); });
      CHECK(receive(first, answer.size()) == answer);
      sender.join();
      CHECK(::shutdown(second, SHUT_WR) == 0);
      CHECK(receive(first, 1).empty());
      const auto end = await_event(lab, PACKET_EVENT_END);
      REQUIRE(end.size() == 1);
      CHECK(end[0].bytes[client_first ? PACKET_CLIENT : PACKET_BACKEND] == 10);
      CHECK(end[0].bytes[client_first ? PACKET_BACKEND : PACKET_CLIENT] == answer.size());
    }
  });
}

TEST_CASE("a reset of either side reaches the other one and ends the flow") {
  in_lab([](SpliceLab& lab) {
    std::uint64_t flow = 0;
    for (const bool of_client : {true, false}) {
      CAPTURE(of_client);
      auto pair = lab_pair(lab, remote(lab), ++flow);
      check_taken(hand_over(lab, pair));
      exchange(pair, 100'000);
      UniqueFd& source = of_client ? pair.client : pair.backend;
      const int target = of_client ? pair.backend.get() : pair.client.get();
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      check(::setsockopt(source.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "linger");
      source.reset();
      char byte = 0;
      CHECK(::recv(target, &byte, 1, 0) == -1);
      CHECK(errno == ECONNRESET);
      const auto reset = await_event(lab, PACKET_EVENT_RESET);
      REQUIRE(reset.size() == 1);
      CHECK(reset[0].side == (of_client ? PACKET_CLIENT : PACKET_BACKEND));
      CHECK(reset[0].bytes[PACKET_CLIENT] == 100'000);
      CHECK(lab.plane->read(pair.pair.keys.client)->state == PACKET_FINISHED);
    }
  });
}

TEST_CASE("a killed flow is reset at both ends without traffic, and its entries are deleted") {
  in_lab([](SpliceLab& lab) {
    std::uint64_t flow = 0;
    for (const char* listen : {"198.18.1.1:443", "[2001:db8:1::1]:443"}) {
      CAPTURE(listen);
      const bool v6 = listen[0] == '[';
      auto pair = lab_pair(lab,
                           {.listen = listen,
                            .backend = v6 ? "[2001:db8:2::2]:8443" : "198.18.2.2:8443",
                            .backend_net = &lab.backend},
                           ++flow);
      check_taken(hand_over(lab, pair));
      exchange(pair, 100'000);
      const auto killed = lab.plane->kill(pair.pair.keys, flow);
      CHECK_MESSAGE(killed, killed.error().what);
      char byte = 0;
      CHECK(::recv(pair.client.get(), &byte, 1, 0) == -1);
      CHECK(errno == ECONNRESET);
      CHECK(::recv(pair.backend.get(), &byte, 1, 0) == -1);
      CHECK(errno == ECONNRESET);
      lab.plane->release_forgotten(~std::uint64_t{0});
      CHECK(!lab.plane->read(pair.pair.keys.client));
      CHECK(!lab.plane->read(pair.pair.keys.backend));
    }
  });
}

TEST_CASE("bytes that wait unread at the hand-over are brought to the other side first") {
  in_lab([](SpliceLab& lab) {
    // With a small offered window unread bytes stay within the other side's window.
    auto pair = lab_pair(lab, {.backend_net = &lab.backend, .proxy_buffer = 8192});
    send_all(pair.client.get(), "early ");
    send_all(pair.backend.get(), "bird ");
    CHECK(wait_for(pair.client_side.get(), POLLIN, wait_limit_ms));
    CHECK(wait_for(pair.backend_side.get(), POLLIN, wait_limit_ms));
    check_taken(hand_over(lab, pair));
    send_all(pair.client.get(), "late");
    send_all(pair.backend.get(), "worm");
    CHECK(receive(pair.backend.get(), 10) == "early late");
    CHECK(receive(pair.client.get(), 9) == "bird worm");
    end_both(pair);
    const auto end = await_event(lab, PACKET_EVENT_END);
    REQUIRE(end.size() == 1);
    CHECK(end[0].bytes[PACKET_CLIENT] == 10);
    CHECK(end[0].bytes[PACKET_BACKEND] == 9);
  });
}

TEST_CASE("more unread bytes may wait at the hand-over than a socket takes at once") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, {.backend_net = &lab.backend, .proxy_buffer = 16'384});
    set_option(pair.client_side.get(), SOL_SOCKET, SO_SNDBUF, 4096);
    const std::string early = pattern(20'000, 5);
    send_all(pair.backend.get(), early);
    int unread = 0;
    for (int i = 0; i < wait_limit_ms && unread < 20'000; ++i) {
      wait_for(pair.backend_side.get(), POLLPRI, 1);
      check(::ioctl(pair.backend_side.get(), FIONREAD, &unread), "FIONREAD");
    }
    REQUIRE(unread == 20'000);
    check_taken(hand_over(lab, pair));
    CHECK(receive(pair.client.get(), early.size()) == early);
    exchange(pair, 100'000);
  });
}

TEST_CASE("a pair with nothing to carry is looked at a few times only") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, remote(lab));
    Handover handover(*lab.plane, lab.grace, pair.pair);
    HandoverStep step;
    int steps = 0;
    for (; steps < 1000 && step.state == HandoverState::waiting; ++steps) {
      if (steps > 0) std::this_thread::sleep_for(step.again);
      step = handover.step(std::chrono::steady_clock::now());
    }
    check_taken(step);
    CHECK(steps <= 10);
  });
}

TEST_CASE("an end that acknowledges nothing is given up, and the other one is reset") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, {.backend_net = &lab.backend, .proxy_buffer = 8192});
    send_all(pair.client.get(), "lost");
    CHECK(wait_for(pair.client_side.get(), POLLIN, wait_limit_ms));
    ip("neigh replace 198.18.2.2 lladdr 02:00:00:00:00:01 dev b0 nud permanent");
    Handover handover(*lab.plane, lab.grace, pair.pair, {.stall = std::chrono::milliseconds{300}});
    HandoverStep step;
    for (int i = 0; i < 1000 && step.state == HandoverState::waiting; ++i) {
      std::this_thread::sleep_for(step.again);
      step = handover.step(std::chrono::steady_clock::now());
    }
    CHECK(step.state == HandoverState::broken);
    CAPTURE(step.why);
    char byte = 0;
    CHECK(wait_for(pair.client.get(), POLLIN, wait_limit_ms));
    CHECK(::recv(pair.client.get(), &byte, 1, 0) == -1);
    CHECK(errno == ECONNRESET);
  });
}

TEST_CASE("a connection whose packets arrive under other addresses is declined and keeps working") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, remote(lab));
    lab.plane->unwatch(pair.pair.keys.backend, 1);
    pair.pair.keys.backend.target_port_be ^= 1;  // As behind NAT.
    REQUIRE(lab.plane->watch(pair.pair.keys.backend, 1, PACKET_BACKEND));
    const auto step = hand_over(lab, pair);
    CHECK(step.state == HandoverState::declined);
    CHECK(step.decline == PACKET_DECLINE_UNSEEN);
    send_all(pair.client.get(), "on");
    CHECK(receive(pair.client_side.get(), 2) == "on");
    send_all(pair.client_side.get(), "go");
    CHECK(receive(pair.client.get(), 2) == "go");
  });
}

TEST_CASE("a connection with an end that has said goodbye is declined") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, remote(lab));
    CHECK(::shutdown(pair.client.get(), SHUT_WR) == 0);
    CHECK(wait_for(pair.client_side.get(), POLLRDHUP, wait_limit_ms));
    const auto step = hand_over(lab, pair);
    CHECK(step.state == HandoverState::declined);
    CHECK(step.decline == PACKET_DECLINE_CLOSING);
  });
}

TEST_CASE("a reader that stops delays only its own sender, and continues later") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, remote(lab));
    check_taken(hand_over(lab, pair));
    const std::string piece = pattern(65'536, 3);
    std::size_t sent = 0;
    for (;;) {
      const auto result =
          ::send(pair.client.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (result > 0) {
        sent += static_cast<std::size_t>(result);
      } else if (!wait_for(pair.client.get(), POLLOUT, 1500)) {
        break;  // Long enough for zero-window probes to have passed.
      }
    }
    CHECK(sent > 100'000);
    CHECK(receive(pair.backend.get(), sent).size() == sent);
    exchange(pair, 100'000);
  });
}
