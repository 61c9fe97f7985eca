// Damaged packets through the programs: bpf/packet/packet_checksum.bpf.h.

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/support/skip.h"
#include "tests/support/spliced_flow.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::uint8_t reset_flags = 4 | 16;  // RST and ACK.
const Bytes timestamps{1, 1, 8, 10, 0, 0, 3, 232, 0, 0, 0, 55};

}  // namespace

TEST_CASE("one flipped bit of a packet prevents no hand-over, whichever it is") {
  if (geteuid() != 0) return skip("needs root");
  for (const char* const front : {"192.0.2.1:443", "[2001:db8::1]:443"}) {
    const bool v4 = at(front).ip.is_v4();
    const SplicedFlow flow(v4 ? "192.0.2.7:50000" : "[2001:db8::7]:50000", front);
    Segment segment = flow.from_client();
    segment.options = timestamps;
    segment.payload = Bytes(100, 0xa5);
    const Bytes whole = frame_of(ip_packet(segment));
    const std::size_t tcp = 14 + (v4 ? 20 : 40);
    for (std::size_t bit = 8 * tcp; bit < 8 * whole.size(); ++bit) {
      CAPTURE(bit);
      Bytes damaged = whole;
      damaged[bit / 8] ^= 1 << bit % 8;
      flow.run(damaged);
      const auto seen = flow.plane->seen(flow.keys.client);
      REQUIRE((!seen.closing && !seen.odd_options));
    }
    CHECK(flow.plane->counters()[PACKET_DAMAGED] > 0);
    segment.options = {30, 4, 0, 0};  // Multipath TCP.
    flow.run(segment);
    CHECK(flow.plane->seen(flow.keys.client).odd_options);
  }
}

TEST_CASE("one flipped bit of a packet neither ends a flow nor frees its key, whichever it is") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.splice();
  Segment segment = flow.from_client();
  segment.options = timestamps;
  flow.run(segment);
  const auto run_damaged = [&](std::uint32_t state, std::uint32_t marks) {
    const Bytes whole = frame_of(ip_packet(segment));
    for (std::size_t bit = 8 * (14 + 20); bit < 8 * whole.size(); ++bit) {
      CAPTURE(bit);
      Bytes damaged = whole;
      damaged[bit / 8] ^= 1 << bit % 8;
      flow.run(damaged);
      const auto entry = flow.entry(flow.keys.client);
      REQUIRE(entry.state == state);
      REQUIRE((entry.marks & (PACKET_FIN_SEEN | PACKET_RESET | PACKET_RESET_MAYBE)) == marks);
    }
  };
  run_damaged(PACKET_SPLICED, 0);
  Segment reset = segment;
  reset.flags = reset_flags;
  flow.run(reset);
  run_damaged(PACKET_FINISHED, PACKET_RESET);
}
