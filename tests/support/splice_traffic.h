#pragma once

// Bytes that identify their position, and their transfer through a lab's connection.

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/splice_lab.h"

namespace sni::test {

inline std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// Sends both ways at once and compares every byte.
inline void exchange(const LabPair& pair, std::size_t size, unsigned seed = 1) {
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

// The first event of that kind; empty: none in time.
inline std::vector<packet_event> await_event(SpliceLab& lab, packet_event_kind kind) {
  std::vector<packet_event> events;
  for (int i = 0; i < 20; ++i) {
    lab.plane->take_events(events);
    for (const packet_event& event : events)
      if (event.kind == static_cast<std::uint32_t>(kind)) return {event};
    wait_for(lab.plane->events_fd(), POLLIN, 250);
  }
  return {};
}

inline void end_both(const LabPair& pair) {
  CHECK(::shutdown(pair.client.get(), SHUT_WR) == 0);
  CHECK(receive(pair.backend.get(), 1).empty());
  CHECK(::shutdown(pair.backend.get(), SHUT_WR) == 0);
  CHECK(receive(pair.client.get(), 1).empty());
}

// Checks both ends, and the event with so many bytes each way.
inline void check_end(SpliceLab& lab, const LabPair& pair, std::uint64_t bytes) {
  end_both(pair);
  const auto end = await_event(lab, PACKET_EVENT_END);
  REQUIRE(end.size() == 1);
  CHECK(end[0].flow == pair.pair.flow);
  CHECK(end[0].bytes[PACKET_CLIENT] == bytes);
  CHECK(end[0].bytes[PACKET_BACKEND] == bytes);
}

inline void check_taken(const HandoverStep& step) {
  REQUIRE_MESSAGE(step.state == HandoverState::spliced, std::string(to_string(step.decline)), " ",
                  step.why);
}

}  // namespace sni::test
