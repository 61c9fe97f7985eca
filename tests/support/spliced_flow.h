#pragma once

// A flow in the maps without any socket, and single packets through the program.

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "bpf/packet/monotonic.h"
#include "bpf/packet/packet_splice.h"
#include "core/packet/packet_rewrite.h"
#include "tests/support/tcp_segment.h"

namespace sni::test {

// For tests and for the fuzzer, which has no doctest.
inline void must(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

inline Endpoint at(const std::string& text) {
  return *parse_endpoint(text);
}

struct Passage {
  int action = 0;
  Bytes frame;
};

// S is the client in these: its packets are `from_client`.
class SplicedFlow {
 public:
  static constexpr std::uint32_t client_seq = 0xffffff00;  // Wraps soon.
  static constexpr std::uint32_t client_ack = 5000;
  static constexpr std::uint32_t seq_delta = 123456789;
  static constexpr std::uint32_t ack_delta = 0x80001234;
  static constexpr std::uint32_t window_bytes = 64'000;

  explicit SplicedFlow(const std::string& client_at = "192.0.2.7:50000",
                       const std::string& front_at = "192.0.2.1:443",
                       const std::string& own_at = "198.51.100.1:40000",
                       const std::string& backend_at = "198.51.100.9:8443")
      : client(at(client_at)), front(at(front_at)), own(at(own_at)), backend(at(backend_at)) {
    auto loaded = PacketSplice::load({.flows = 8, .pin_directory = {}});
    must(loaded.has_value(), loaded ? "" : loaded.error().what);
    plane = std::move(*loaded);
    keys = {make_packet_key(client, front), make_packet_key(backend, own)};
    watch();
  }

  void watch() {
    must(plane->watch(keys.client, 1, PACKET_CLIENT).has_value(), "watch the client");
    must(plane->watch(keys.backend, 1, PACKET_BACKEND).has_value(), "watch the backend");
  }

  // `stamp`: the timestamp of both of the proxy's sockets at this moment; nullopt: 0 at boot.
  void begin(std::optional<std::uint32_t> stamp = {}) {
    packet_flow up{};
    if (stamp) {
      up.stamp = *stamp;
      up.stamp_ns = monotonic_ns();
    }
    up.peer = keys.backend;
    up.flow = 1;
    up.side = PACKET_CLIENT;
    up.seq_delta = seq_delta;
    up.ack_delta = ack_delta;
    up.ifindex = 1;
    up.owned_end = client_ack;
    up.scale_from = 7;
    up.scale_to = 5;
    up.ack_room = 30'000;
    up.base = client_seq;
    up.local_seq = client_seq;
    up.acked = PACKET_EXTENDED + client_seq;
    up.sent = client_seq;
    up.edge = client_seq + window_bytes;
    up.ack_seen = client_ack - 100;
    packet_flow down = up;
    down.peer = keys.client;
    down.side = PACKET_BACKEND;
    down.seq_delta = 0u - ack_delta;
    down.ack_delta = 0u - seq_delta;
    down.scale_from = 5;
    down.scale_to = 7;
    down.base = client_ack + ack_delta;
    down.local_seq = down.base;
    down.owned_end = client_seq + seq_delta;
    down.acked = PACKET_EXTENDED + down.base;
    down.sent = down.base + 2000;
    down.edge = down.base + window_bytes;
    down.ack_seen = down.owned_end;
    must(plane->begin(keys, up, down).has_value(), "begin");
  }
  void splice(std::optional<std::uint32_t> stamp = {}) {
    begin(stamp);
    must(plane->finish_transition(keys, 1).has_value(), "finish the transition");
  }

  Segment from_client() const {
    return {.source = client,
            .target = front,
            .seq = client_seq,
            .ack = client_ack,
            .options = {},
            .payload = {}};
  }
  Segment from_backend() const {
    return {.source = backend,
            .target = own,
            .seq = client_ack + ack_delta,
            .ack = client_seq + seq_delta,
            .options = {},
            .payload = {}};
  }

  Passage run(const Bytes& frame) const {
    Passage passage{.action = 0, .frame = Bytes(4096)};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                .data_out = passage.frame.data(), .data_size_in = static_cast<__u32>(frame.size()),
                .data_size_out = static_cast<__u32>(passage.frame.size()));
    must(bpf_prog_test_run_opts(plane->program_fd(PacketLink::ethernet), &options) == 0, "run");
    passage.action = static_cast<int>(options.retval);
    passage.frame.resize(options.data_size_out);
    return passage;
  }
  Passage run(const Segment& segment) const { return run(frame_of(ip_packet(segment))); }

  packet_flow entry(const packet_key& key) const {
    const auto flow = plane->read(key);
    must(flow.has_value(), "read an entry");
    return *flow;
  }

  // The expected translation of a TCP segment of one side, by the model and with checksums from
  // scratch; empty: none, since its header is broken. To be called after the segment has run, which
  // may set the offset of its timestamps.
  Bytes expected(packet_side side, const Bytes& segment, std::uint8_t traffic_class) const {
    const bool up = side == PACKET_CLIENT;
    const auto from = entry(up ? keys.client : keys.backend);
    const auto to = entry(up ? keys.backend : keys.client);
    const Endpoint& source = up ? own : front;
    const Endpoint& target = up ? backend : client;
    TcpTranslation translation{.source_port = source.port,
                               .target_port = target.port,
                               .seq_delta = from.seq_delta,
                               .ack_delta = from.ack_delta,
                               .scale_from = from.scale_from,
                               .scale_to = from.scale_to,
                               .stamp_delta = static_cast<std::uint32_t>(from.stamp_offset),
                               .echo_delta = {}};
    if (to.stamp_offset) translation.echo_delta = static_cast<std::uint32_t>(to.stamp_offset);
    Bytes tcp = segment;
    const std::size_t header = std::size_t{tcp[12]} / 16 * 4;
    if (header > tcp.size() || !translate_tcp_header(std::span(tcp).first(header), translation)) {
      return {};
    }
    seal_tcp(tcp, source.ip, target.ip);
    Bytes packet =
        ip_header(source.ip, target.ip, tcp.size(), IPPROTO_TCP, PACKET_HOP_LIMIT, traffic_class);
    packet.insert(packet.end(), tcp.begin(), tcp.end());
    return packet;
  }
  Bytes expected_up(const Segment& segment) const {
    Bytes tcp = segment.tcp_header();
    tcp.insert(tcp.end(), segment.payload.begin(), segment.payload.end());
    return expected(PACKET_CLIENT, tcp, segment.traffic_class);
  }

  Endpoint client, front, own, backend;
  PacketPair keys;
  std::unique_ptr<PacketSplice> plane;
};

inline Bytes packet_in(const Passage& passage) {
  return Bytes(passage.frame.begin() + 14, passage.frame.end());
}

}  // namespace sni::test
