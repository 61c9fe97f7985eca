// Hand-overs while both ends send as fast as they can: the hardest moment for the mapping.

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "bpf/packet/handover.h"
#include "tests/support/skip.h"
#include "tests/support/splice_traffic.h"

using namespace sni;
using namespace sni::test;

namespace {

using std::chrono::milliseconds;

// Relays what is available at once in one direction; nothing is left unsent.
std::size_t relay_now(int from, int to) {
  std::array<char, 65'536> buffer;
  const auto got = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got <= 0) return 0;
  send_all(to, {buffer.data(), static_cast<std::size_t>(got)});
  return static_cast<std::size_t>(got);
}

struct Outcome {
  int tries = 0;
  bool taken = false;
  std::array<std::size_t, 2> relayed{};
};

// Relays until so many bytes have moved in both directions, tries to hand over, and goes on if that
// is declined.
Outcome relay_and_hand_over(SpliceLab& lab, LabPair& pair, std::size_t between,
                            const std::atomic<bool>& over) {
  Outcome outcome;
  const int client = pair.client_side.get();
  const int backend = pair.backend_side.get();
  while (!over) {
    for (std::size_t relayed = 0; relayed < between && !over;) {
      const auto up = relay_now(client, backend);
      const auto down = relay_now(backend, client);
      outcome.relayed[PACKET_CLIENT] += up;
      outcome.relayed[PACKET_BACKEND] += down;
      relayed += up + down;
      pollfd both[] = {{client, POLLIN, 0}, {backend, POLLIN, 0}};
      if (up + down == 0) ::poll(both, 2, 1);
    }
    if (over) break;
    ++outcome.tries;
    const auto step = hand_over(lab, pair, milliseconds{100});
    if (step.state == HandoverState::declined) continue;
    CHECK_MESSAGE(step.state == HandoverState::spliced, step.why);
    outcome.taken = true;
    break;
  }
  return outcome;
}

}  // namespace

TEST_CASE("connections are handed over in the midst of full traffic both ways and lose no byte") {
  if (geteuid() != 0) return skip("needs root");
  in_own_network([] {
    SpliceLab lab;
    constexpr std::size_t size = 4 << 20;
    int taken = 0;
    for (std::uint64_t flow = 1; flow <= 8; ++flow) {
      CAPTURE(flow);
      const bool local = flow % 4 == 0;
      const bool v6 = flow % 2 == 1;
      // A small offered window, as in a relay that is going to hand over.
      auto pair = lab_pair(lab,
                           {.listen = v6 ? "[2001:db8:1::1]:443" : "198.18.1.1:443",
                            .backend = local ? "127.0.0.1:8443"
                                       : v6  ? "[2001:db8:2::2]:8443"
                                             : "198.18.2.2:8443",
                            .backend_net = local ? nullptr : &lab.backend,
                            .backend_mss = local ? 1460 : 0,
                            .proxy_buffer = 32'768},
                           flow);
      std::atomic<bool> over{false};
      Outcome outcome;
      {
        std::jthread proxy([&] { outcome = relay_and_hand_over(lab, pair, flow * 100'000, over); });
        exchange(pair, size, static_cast<unsigned>(flow));
        over = true;
      }
      CAPTURE(outcome.tries);
      if (!outcome.taken) continue;
      ++taken;
      end_both(pair);
      const auto end = await_event(lab, PACKET_EVENT_END);
      REQUIRE(end.size() == 1);
      CHECK(end[0].bytes[PACKET_CLIENT] + outcome.relayed[PACKET_CLIENT] == size);
      CHECK(end[0].bytes[PACKET_BACKEND] + outcome.relayed[PACKET_BACKEND] == size);
    }
    MESSAGE(taken, " of 8 taken");
    CHECK(taken >= 4);
  });
}
