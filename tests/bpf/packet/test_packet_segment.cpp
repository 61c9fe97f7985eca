#include "bpf/packet/packet_segment.h"

#include <doctest/doctest.h>

using namespace sni;

namespace {

// An end whose numbers wrap, and the other one.
packet_flow end_of_flow() {
  packet_flow end{};
  end.acked = PACKET_EXTENDED + 0xfffffff0;
  end.edge = 0x1234'5670;
  end.ack_seen = 0;
  return end;
}
packet_flow other_end() {
  packet_flow other{};
  other.scale_to = 7;
  other.stamp = 0xffff'fff0;
  other.stamp_ns = 5'000'000'000;
  return other;
}

}  // namespace

TEST_CASE("a keepalive probe lies one byte before the window, with the numbers of the other end") {
  packet_flow end = end_of_flow();
  end.edge = 0xfffffff0 + 128 * 1000 + 127;
  CHECK(
      probe_numbers(end, other_end(), 5'000'000'000) ==
      ProbeNumbers{.seq = 0xffff'ffff, .ack = 0xffff'fff0, .window = 1000, .stamp = std::nullopt});
}

TEST_CASE("a keepalive probe's window fits its field and is never negative") {
  packet_flow end = end_of_flow();
  CHECK(probe_numbers(end, other_end(), 0).window == 0xffff);
  end.edge = 0xfffffff0 - 5;
  CHECK(probe_numbers(end, other_end(), 0).window == 0);
}

TEST_CASE("a keepalive probe continues the timestamps that the proxy's socket sent") {
  packet_flow end = end_of_flow();
  end.marks = PACKET_TIMESTAMPS;
  CHECK(probe_numbers(end, other_end(), 5'020'999'999).stamp == 4U);
}
