// The input describes packets that two ends send over a spliced connection, with more or less
// plausible numbers. Each goes through the BPF program (BPF_PROG_TEST_RUN), and the result must
// equal that of the model in core/packet, byte by byte. Needs root.
//
// A packet is ten bytes and its options: its side, whether it is damaged and the length of its
// options; flags; positions of seq, ack and window; length of its payload; traffic class.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "fuzz/property.h"
#include "tests/support/spliced_flow.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::size_t fixed_bytes = 10;
constexpr int packets_max = 32;
constexpr std::uint8_t fin = 1, syn = 2, rst = 4, ack = 16;

// The next byte of each side, if the packets so far were its own.
struct Ends {
  std::uint32_t next[PACKET_SIDES];
};

struct Sent {
  packet_side side;
  bool damaged;
  Segment segment;
  Bytes tcp;  // Header and payload, sealed.
};

std::uint16_t read16(std::span<const std::uint8_t> at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

Sent next_packet(const SplicedFlow& flow, const Ends& ends, std::span<const std::uint8_t>& input) {
  const std::uint8_t choice = input[0];
  Sent sent{.side = choice & 1 ? PACKET_BACKEND : PACKET_CLIENT,
            .damaged = (choice & 2) != 0,
            .segment = choice & 1 ? flow.from_backend() : flow.from_client(),
            .tcp = {}};
  Segment& segment = sent.segment;
  const bool up = sent.side == PACKET_CLIENT;
  // Offsets in growing steps: near the true number, at the window's edge, and half the space away.
  const auto off = [](std::uint8_t byte) {
    const auto small = static_cast<std::int8_t>(byte);
    return static_cast<std::uint32_t>(byte & 1 ? small << 24 : byte & 2 ? small * 1000 : small / 4);
  };
  segment.seq = ends.next[sent.side] + off(input[2]);
  segment.ack = ends.next[up ? PACKET_BACKEND : PACKET_CLIENT] +
                (up ? 0u - SplicedFlow::ack_delta : SplicedFlow::seq_delta) + off(input[3]);
  segment.flags = input[1];
  segment.window = read16(input.subspan(4));
  segment.payload = Bytes(read16(input.subspan(6)) % 1461, input[8]);
  segment.traffic_class = input[9];
  input = input.subspan(fixed_bytes);
  const std::size_t options = std::min<std::size_t>(choice >> 4, 10) * 4;
  const auto given = input.first(std::min(options, input.size()));
  segment.options.assign(given.begin(), given.end());
  segment.options.resize(options);
  input = input.subspan(given.size());
  sent.tcp = segment.tcp_header();
  if (choice & 4) sent.tcp[12] = segment.traffic_class;  // Any length of the header.
  sent.tcp.insert(sent.tcp.end(), segment.payload.begin(), segment.payload.end());
  seal_tcp(sent.tcp, segment.source.ip, segment.target.ip);
  if (sent.damaged) sent.tcp[16] ^= 0x40;
  return sent;
}

bool is_right(const Bytes& packet) {
  const bool v4 = packet[0] >> 4 == 4;
  const std::size_t header = v4 ? 20 : 40;
  const Bytes all(packet.begin() + (v4 ? 12 : 8), packet.end());
  return checksum_of(all, static_cast<std::uint32_t>(IPPROTO_TCP + packet.size() - header)) == 0;
}

void check_forwarded(const SplicedFlow& flow, const Sent& sent, const Passage& passage) {
  // The timestamp of an unbelieved packet before the first believed one depends on the clock.
  const auto& key = sent.side == PACKET_CLIENT ? flow.keys.client : flow.keys.backend;
  const bool free = sent.damaged || flow.entry(key).stamp_offset == 0;
  const Bytes wanted = flow.expected(sent.side, sent.tcp, sent.segment.traffic_class);
  if (wanted.empty()) {
    return require(passage.action == TC_ACT_SHOT, "a broken header goes nowhere");
  }
  require(passage.action == TC_ACT_REDIRECT, "what is whole is sent on");
  const Bytes got = packet_in(passage);
  require(is_right(got) == !sent.damaged, "damage stays visible, and none is added");
  require(got.size() == wanted.size(), "a packet keeps its length");
  std::size_t first = got.size(), last = 0;
  const std::size_t checksum = got.size() - sent.tcp.size() + 16;
  for (std::size_t at = 0; at < got.size(); ++at) {
    if (got[at] == wanted[at] || (at / 2 == checksum / 2 && free)) continue;
    first = std::min(first, at);
    last = at;
  }
  require(first > last || (free && last - first < 4), "a packet comes out as the model says");
}

// The program's state of the two directions.
struct Noted {
  explicit Noted(const SplicedFlow& flow)
      : up(flow.entry(flow.keys.client)), down(flow.entry(flow.keys.backend)) {}
  packet_flow up, down;
};

void check_noted(const Noted& before, const Noted& after, const Sent& sent) {
  for (const auto& [old, now] :
       {std::pair(before.up, after.up), std::pair(before.down, after.down)}) {
    require(now.acked >= old.acked, "what was acknowledged stays so");
    require(now.state >= old.state, "a flow goes forward");
    require(static_cast<std::int32_t>(now.sent - old.sent) >= 0, "what was sent stays so");
    require(static_cast<std::int32_t>(now.sent - static_cast<std::uint32_t>(now.acked)) >= 0,
            "nobody acknowledges what was not sent");
  }
  constexpr std::uint32_t final_marks = PACKET_FIN_SEEN | PACKET_RESET;
  if (sent.damaged) {
    require(((after.up.marks & ~before.up.marks) & final_marks) == 0 &&
                ((after.down.marks & ~before.down.marks) & final_marks) == 0,
            "a damaged packet ends nothing");
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (::geteuid() == 0) return 0;
  std::fprintf(stderr, "skipped: needs root\n");
  std::_Exit(77);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SplicedFlow four;
  static SplicedFlow six("[2001:db8::7]:50000", "[2001:db8::1]:443", "[2001:db8:5::1]:40000",
                         "[2001:db8:5::9]:8443");
  if (size == 0) return 0;
  SplicedFlow& flow = data[0] & 1 ? six : four;
  for (const packet_key& key : {flow.keys.client, flow.keys.backend}) {
    bpf_map_delete_elem(flow.plane->map_fd("PACKET_FLOWS"), &key);
  }
  flow.watch();
  flow.splice();
  Ends ends{.next = {SplicedFlow::client_seq, SplicedFlow::client_ack + SplicedFlow::ack_delta}};
  std::span input(data + 1, size - 1);
  for (int count = 0; input.size() >= fixed_bytes && count < packets_max; ++count) {
    const Sent sent = next_packet(flow, ends, input);
    const Noted before(flow);
    Bytes packet = ip_header(sent.segment.source.ip, sent.segment.target.ip, sent.tcp.size(),
                             IPPROTO_TCP, 64, sent.segment.traffic_class);
    packet.insert(packet.end(), sent.tcp.begin(), sent.tcp.end());
    const auto passage = flow.run(frame_of(packet));
    const Noted after(flow);
    if (after.up.state == PACKET_FORGOTTEN) {
      require((sent.segment.flags & syn) && before.up.state == PACKET_FINISHED,
              "only a SYN frees the key of a flow that is over");
      require(passage.action == TC_ACT_UNSPEC, "it goes to the listener");
      break;
    }
    check_forwarded(flow, sent, passage);
    check_noted(before, after, sent);
    if (sent.segment.flags & ack && !(sent.segment.flags & (rst | syn))) {
      ends.next[sent.side] = sent.segment.seq +
                             static_cast<std::uint32_t>(sent.segment.payload.size()) +
                             (sent.segment.flags & fin);
    }
  }
  std::vector<packet_event> events;
  flow.plane->take_events(events);
  require(events.size() <= packets_max, "no packet tells of more than one thing");
  return 0;
}
