#include "bpf/packet/packet_splice.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <initializer_list>

#include "tests/support/skip.h"
#include "tests/support/spliced_flow.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::uint8_t fin = 1, syn = 2, rst = 4, ack = 16;

Bytes stamps(std::uint32_t value, std::uint32_t echo) {
  Bytes option{1, 1, 8, 10};
  put32(option, value);
  put32(option, echo);
  return option;
}

// The state that blind packets must not change.
struct Tracked {
  explicit Tracked(const packet_flow& flow)
      : acked(flow.acked),
        sent(flow.sent),
        edge(flow.edge),
        ack_seen(flow.ack_seen),
        state(flow.state),
        marks(flow.marks & ~std::uint32_t{PACKET_RESET_MAYBE}) {}
  std::uint64_t acked;
  std::uint32_t sent, edge, ack_seen, state, marks;
  bool operator==(const Tracked&) const = default;
};

}  // namespace

TEST_CASE("packets of unknown flows go on to the next program unchanged") {
  if (geteuid() != 0) return skip("needs root");
  const SplicedFlow flow;
  Segment foreign = flow.from_client();
  foreign.source.port += 1;
  const Bytes frame = frame_of(ip_packet(foreign));
  const auto passage = flow.run(frame);
  CHECK(passage.action == TC_ACT_UNSPEC);
  CHECK(passage.frame == frame);
  CHECK(flow.plane->counters()[PACKET_FOREIGN] == 1);
}

TEST_CASE("a watched connection's packets are noted and let pass") {
  if (geteuid() != 0) return skip("needs root");
  const SplicedFlow flow;
  CHECK(!flow.plane->seen(flow.keys.client).seen);
  const auto passage = flow.run(flow.from_client());
  CHECK(passage.action == TC_ACT_UNSPEC);
  CHECK(flow.plane->seen(flow.keys.client).seen);
  CHECK(!flow.plane->seen(flow.keys.client).closing);
  Segment last = flow.from_client();
  last.flags = fin | ack;
  flow.run(last);
  CHECK(flow.plane->seen(flow.keys.client).closing);
}

TEST_CASE("packets are rewritten to the byte as the model says, in every pair of families") {
  if (geteuid() != 0) return skip("needs root");
  const char* clients[][2] = {{"192.0.2.7:50000", "192.0.2.1:443"},
                              {"[2001:db8::7]:50000", "[2001:db8::1]:443"}};
  const char* backends[][2] = {{"198.51.100.1:40000", "198.51.100.9:8443"},
                               {"[2001:db8:5::1]:40000", "[2001:db8:5::9]:8443"}};
  Bytes sack = stamps(77, 0);
  sack.insert(sack.end(), {1, 1, 5, 18});
  for (std::uint32_t edge : {100u, 200u, 0xfffffff0u, 16u}) put32(sack, edge);
  Bytes odd{8, 10, 0, 0, 0, 9, 0,
            0, 0,  1, 1, 5, 10};  // Timestamps at an even, SACK at an odd place.
  put32(odd, 1);
  put32(odd, 2);
  odd.resize(24, 0);
  const std::initializer_list<Bytes> shapes{{}, stamps(1000, 55), sack, odd, {2, 4, 5, 180}};
  for (const auto& [client, front] : clients) {
    for (const auto& [own, backend] : backends) {
      SplicedFlow flow(client, front, own, backend);
      flow.splice();
      Segment answer = flow.from_backend();
      answer.options = stamps(4'000'000'000, 0);
      CHECK(flow.run(answer).action == TC_ACT_REDIRECT);
      for (const Bytes& options : shapes) {
        for (const std::size_t length : {0u, 1u, 100u, 999u}) {
          CAPTURE(client);
          CAPTURE(backend);
          CAPTURE(options.size());
          CAPTURE(length);
          Segment segment = flow.from_client();
          segment.options = options;
          segment.payload = Bytes(length, 0xa5);
          segment.window = static_cast<std::uint16_t>(length * 65);
          segment.traffic_class = 0xb9;  // Expedited forwarding, ECT(1).
          const auto passage = flow.run(segment);
          CHECK(passage.action == TC_ACT_REDIRECT);
          Bytes expected = flow.expected_up(segment);
          Bytes got = packet_in(passage);
          if (!flow.client.ip.is_v4() && flow.backend.ip.is_v4()) {
            // IPv6 has no identification to take over, and 0 is correct with "don't fragment".
            REQUIRE(got.size() == expected.size());
            CHECK((got[4] == 0 && got[5] == 0));
            CHECK(checksum_of(std::span(got).first(20)) == 0);
            for (const std::size_t at : {4u, 5u, 10u, 11u}) got[at] = expected[at];
          }
          CHECK(got == expected);
        }
      }
    }
  }
}

TEST_CASE("timestamps advance by the same steps where they wrap, and so do their echoes") {
  if (geteuid() != 0) return skip("needs root");
  for (const std::uint32_t ours : {1'000'000u, 0xffff'fff8u, 0u}) {
    for (const std::uint32_t theirs : {0xffff'fff0u, 1'000'000u}) {
      CAPTURE(ours);
      CAPTURE(theirs);
      SplicedFlow flow;
      flow.splice(ours);
      const auto stamped = [&](Segment segment, std::uint32_t value, std::uint32_t echo) {
        segment.options = stamps(value, echo);
        const Bytes got = packet_in(flow.run(segment));
        return std::pair(get32(got, 20 + 20 + 4), get32(got, 20 + 20 + 8));
      };
      // An echo of 0 means none (RFC 7323 section 3.2), and stays what it is.
      const auto meant = [](std::uint32_t echo, std::uint32_t value) { return echo ? value : 0; };
      // The first packet's offset makes it what our socket would stamp now.
      const std::uint32_t first = stamped(flow.from_client(), theirs, 0).first;
      CHECK(first - ours < 60'000);
      const std::uint32_t answer = stamped(flow.from_backend(), 77, first).first;
      for (const std::uint32_t step : {1u, 15u, 16u, 17u, 0x1000'0000u}) {
        CHECK(stamped(flow.from_client(), theirs + step, answer) ==
              std::pair(first + step, meant(answer, 77)));
        CHECK(stamped(flow.from_backend(), 77 + step, first + step) ==
              std::pair(answer + step, meant(first + step, theirs + step)));
      }
    }
  }
}

TEST_CASE("an acknowledgement of bytes that the proxy still owns is left to its socket") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.begin();
  Segment segment = flow.from_client();
  segment.ack -= 1;
  CHECK(flow.run(segment).action == TC_ACT_UNSPEC);
  segment.payload = Bytes(10, 1);
  CHECK(flow.run(segment).action == TC_ACT_REDIRECT);
  segment.payload.clear();
  segment.ack += 1;
  CHECK(flow.run(segment).action == TC_ACT_REDIRECT);
  REQUIRE(flow.plane->publish(flow.keys.client, 1, SplicedFlow::client_ack + 50));
  CHECK(flow.run(segment).action == TC_ACT_UNSPEC);
  segment.ack += 50;
  CHECK(flow.run(segment).action == TC_ACT_REDIRECT);
}

TEST_CASE("the proxy's socket gets acknowledgements under the number that it waits for") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.begin();
  Segment segment = flow.from_client();
  segment.ack -= 1;
  const Bytes at_first = packet_in(flow.run(segment));
  // The socket has none of the forwarded bytes.
  segment.seq += 50'000;
  CHECK(packet_in(flow.run(segment)) == at_first);
  REQUIRE(flow.plane->widen(flow.keys.client, 1, SplicedFlow::client_seq + 700,
                            SplicedFlow::client_seq + 90'000));
  Segment expected = segment;
  expected.seq = SplicedFlow::client_seq + 700;
  CHECK(packet_in(flow.run(segment)) == ip_packet(expected));
}

TEST_CASE(
    "an end hears of few acknowledgements beyond those of the socket that still sends to it") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.begin();
  Segment data = flow.from_client();
  data.payload = Bytes(1000, 1);
  for (int i = 0; i < 50; ++i) {
    flow.run(data);
    data.seq += 1000;
  }
  const auto heard = [&] {
    Segment answer = flow.from_backend();
    answer.ack += 50'000;
    const Bytes packet = packet_in(flow.run(answer));
    return get32(packet, 20 + 8) - SplicedFlow::client_seq;
  };
  CHECK(heard() == 30'000);
  REQUIRE(flow.plane->widen(flow.keys.client, 1, SplicedFlow::client_seq + 700,
                            SplicedFlow::client_seq + 90'000));
  CHECK(heard() == 30'700);
  CHECK(flow.entry(flow.keys.client).acked - PACKET_EXTENDED ==
        SplicedFlow::client_seq + std::uint64_t{50'000});
  REQUIRE(flow.plane->finish_transition(flow.keys, 1));
  CHECK(heard() == 50'000);
}

TEST_CASE(
    "an end hears of no acknowledgement before that of the socket, and its window ends as told") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.begin();
  REQUIRE(flow.plane->widen(flow.keys.client, 1, SplicedFlow::client_seq + 700,
                            SplicedFlow::client_seq + 90'000));
  // Windows of the backend count 32 bytes, those to the client 128.
  const auto heard = [&](std::uint16_t window) {
    Segment answer = flow.from_backend();
    answer.window = window;
    const Bytes packet = packet_in(flow.run(answer));
    return std::pair(get32(packet, 20 + 8) - SplicedFlow::client_seq, packet[34] << 8 | packet[35]);
  };
  CHECK(heard(1000) == std::pair(700u, (32'000 - 700) / 128));
  CHECK(heard(22) == std::pair(700u, 1));
  CHECK(heard(21) == std::pair(700u, 0));
  REQUIRE(flow.plane->finish_transition(flow.keys, 1));
  CHECK(heard(1000) == std::pair(0u, 32'000 / 128));
}

TEST_CASE("an end that goes on without a gap is believed, though its window was not seen here") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.splice();
  Segment data = flow.from_client();
  data.payload = Bytes(1000, 1);
  std::uint32_t sent = 0;
  for (; sent < 2 * SplicedFlow::window_bytes; sent += 1000) {
    flow.run(data);
    data.seq += 1000;
  }
  CHECK(flow.plane->counters()[PACKET_UNBELIEVED] == 0);
  // So is the acknowledgement, which brings the next window.
  Segment answer = flow.from_backend();
  answer.ack += sent;
  answer.window = 1000;
  flow.run(answer);
  CHECK(flow.plane->counters()[PACKET_UNBELIEVED] == 0);
  const auto up = flow.entry(flow.keys.client);
  CHECK(up.acked == PACKET_EXTENDED + SplicedFlow::client_seq + sent);
  CHECK(up.edge == SplicedFlow::client_seq + sent + (1000u << 5));
}

TEST_CASE("blind packets are passed on for the end to judge and move none of our numbers") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.splice();
  Segment data = flow.from_client();
  data.payload = Bytes(500, 1);
  flow.run(data);
  const std::uint32_t next = SplicedFlow::client_seq + 500;
  const Tracked up(flow.entry(flow.keys.client));
  const Tracked down(flow.entry(flow.keys.backend));
  const auto blind = [&](std::uint8_t flags, std::uint32_t seq, std::uint32_t acknowledged,
                         std::size_t length) {
    CAPTURE(int{flags});
    CAPTURE(seq);
    Segment segment = flow.from_client();
    segment.flags = flags;
    segment.seq = seq;
    segment.ack = acknowledged;
    segment.window = 65535;
    segment.payload = Bytes(length, 9);
    CHECK(flow.run(segment).action == TC_ACT_REDIRECT);
    CHECK(Tracked(flow.entry(flow.keys.client)) == up);
    CHECK(Tracked(flow.entry(flow.keys.backend)) == down);
  };
  const std::uint32_t right_ack = SplicedFlow::client_ack;
  blind(rst, next + 100, 0, 0);     // Inside the window, not exact.
  blind(rst, next - 70'000, 0, 0);  // Outside.
  blind(syn, next, 0, 0);           // RFC 5961 section 4: a challenge.
  blind(fin | ack, next + 70'000, right_ack, 0);
  blind(ack, next + (1u << 29), right_ack, 1000);
  blind(ack, next + 100, right_ack + 1'000'000, 1000);  // Acknowledges what was never sent.
  blind(fin | ack, next, right_ack + 1'000'000, 0);
  blind(ack, next - 10'000, right_ack + 1000, 0);  // Before all that is acknowledged.
  CHECK(flow.entry(flow.keys.client).acked - PACKET_EXTENDED == SplicedFlow::client_seq);
}

TEST_CASE("only the exact reset ends a flow, and a SYN on it afterwards frees its key") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.splice();
  Segment reset = flow.from_client();
  reset.flags = rst;
  CHECK(flow.run(reset).action == TC_ACT_REDIRECT);
  CHECK(flow.entry(flow.keys.client).state == PACKET_FINISHED);
  CHECK(flow.entry(flow.keys.backend).state == PACKET_FINISHED);
  std::vector<packet_event> events;
  flow.plane->take_events(events);
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == PACKET_EVENT_RESET);
  CHECK(events[0].side == PACKET_CLIENT);

  Segment again = flow.from_client();
  again.flags = syn;
  const Bytes frame = frame_of(ip_packet(again));
  const auto passage = flow.run(frame);
  CHECK(passage.action == TC_ACT_UNSPEC);
  CHECK(passage.frame == frame);
  CHECK(flow.entry(flow.keys.client).state == PACKET_FORGOTTEN);
  CHECK(flow.plane->watch(flow.keys.client, 2, PACKET_CLIENT));
  CHECK(flow.entry(flow.keys.client).state == PACKET_OBSERVED);
}

TEST_CASE("a reset counts the bytes that it acknowledges, and no others") {
  if (geteuid() != 0) return skip("needs root");
  for (const std::uint32_t beyond : {0U, 1U}) {
    SplicedFlow flow;
    flow.splice();
    Segment data = flow.from_client();
    data.payload = Bytes(10, 1);
    flow.run(data);
    Segment reset = flow.from_backend();
    reset.flags = rst | ack;
    reset.ack = data.seq + 10 + beyond + SplicedFlow::seq_delta;
    flow.run(reset);
    std::vector<packet_event> events;
    flow.plane->take_events(events);
    REQUIRE(events.size() == 1);
    CHECK(events[0].bytes[PACKET_CLIENT] == (beyond == 0 ? 10 : 0));
  }
}

TEST_CASE("bytes count when the receiver has acknowledged them, past 4 GiB too") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.splice();
  std::uint64_t total = 0;
  Segment data = flow.from_client();
  Segment answer = flow.from_backend();
  data.payload = Bytes(1, 1);
  for (int i = 0; i < 3; ++i) {
    flow.run(data);
    data.seq += 1;
    total += 1;
    CHECK(PacketEntry{flow.keys.client, flow.entry(flow.keys.client)}.bytes() == total - 1);
    answer.ack = data.seq + SplicedFlow::seq_delta;
    flow.run(answer);
    CHECK(PacketEntry{flow.keys.client, flow.entry(flow.keys.client)}.bytes() == total);
  }
  // As if 6 GiB had passed.
  packet_flow up = flow.entry(flow.keys.client);
  up.acked += 6ull << 30;
  up.sent += 2u << 30;
  up.edge += 2u << 30;
  REQUIRE(bpf_map_update_elem(flow.plane->map_fd("PACKET_FLOWS"), &flow.keys.client, &up,
                              BPF_EXIST) == 0);
  CHECK(PacketEntry{flow.keys.client, up}.bytes() == (6ull << 30) + 3);
}

TEST_CASE("a table that is full says so, and a living flow's key cannot be watched again") {
  if (geteuid() != 0) return skip("needs root");
  SplicedFlow flow;
  flow.splice();
  const auto living = flow.plane->watch(flow.keys.client, 9, PACKET_CLIENT);
  REQUIRE(!living);
  CHECK(living.error().sys_errno == EEXIST);
  Result<void> watched;
  for (std::uint16_t port = 1; watched && port < 100; ++port)
    watched = flow.plane->watch(make_packet_key({.ip = flow.client.ip, .port = port}, flow.front),
                                port, PACKET_CLIENT);
  REQUIRE(!watched);
  CHECK(watched.error().sys_errno == E2BIG);
}
