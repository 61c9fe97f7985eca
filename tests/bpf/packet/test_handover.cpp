#include "bpf/packet/handover.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/support/skip.h"
#include "tests/support/splice_lab.h"

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

void check_taken(const HandoverStep& step) {
  CHECK_MESSAGE(step.state == HandoverState::spliced, to_string(step.decline), " ", step.why);
}

// Bytes that tell where they belong.
std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// Both ways at once, and every byte is compared.
void exchange(const LabPair& pair, std::size_t size, unsigned seed = 1) {
  const std::string up = pattern(size, seed);
  const std::string down = pattern(size, seed + 1);
  std::jthread client_sends([&] { send_all(pair.client.get(), up); });
  std::jthread backend_sends([&] { send_all(pair.backend.get(), down); });
  std::string got_up;
  std::jthread backend_reads([&] { got_up = receive(pair.backend.get(), size); });
  const std::string got_down = receive(pair.client.get(), size);
  backend_reads.join();
  CHECK(got_down == down);
  CHECK(got_up == up);
}

std::vector<packet_event> await_event(SpliceLab& lab, packet_event_kind kind) {
  std::vector<packet_event> events;
  for (int i = 0; i < 20; ++i) {
    lab.plane->take_events(events);
    for (const packet_event& event : events)
      if (event.kind == static_cast<std::uint32_t>(kind)) return {event};
    wait_for(lab.plane->events_fd(), POLLIN, 250);
  }
  return {};
}

void end_both(const LabPair& pair) {
  CHECK(::shutdown(pair.client.get(), SHUT_WR) == 0);
  CHECK(receive(pair.backend.get(), 1).empty());
  CHECK(::shutdown(pair.backend.get(), SHUT_WR) == 0);
  CHECK(receive(pair.client.get(), 1).empty());
}

}  // namespace

TEST_CASE("a handed-over connection carries bytes both ways without the proxy's sockets") {
  in_lab([](SpliceLab& lab) {
    auto pair = lab_pair(lab, remote(lab));
    check_taken(hand_over(lab, pair));
    exchange(pair, 4 << 20);
    CHECK(lab.plane->counters()[PACKET_FORWARDED_BYTES] >= 8 << 20);
    end_both(pair);
    const auto end = await_event(lab, PACKET_EVENT_END);
    REQUIRE(end.size() == 1);
    CHECK(end[0].flow == 1);
    CHECK(end[0].bytes[PACKET_CLIENT] == 4 << 20);
    CHECK(end[0].bytes[PACKET_BACKEND] == 4 << 20);
  });
}
