#pragma once

// The arithmetic by which the packet plane rewrites a TCP header, as plain C++. It defines the
// result of the BPF program (bpf/packet/packet_rewrite.bpf.h) byte by byte. Tests compare the two,
// and a fuzzer looks for headers that either would get wrong. Addresses and checksums are the
// caller's.

#include <cstdint>
#include <optional>
#include <span>

namespace sni {

struct TcpTranslation {
  std::uint16_t source_port = 0;  // Host order.
  std::uint16_t target_port = 0;
  std::uint32_t seq_delta = 0;
  std::uint32_t ack_delta = 0;
  std::uint8_t scale_from = 0;  // Window scale of the sender, 0..14 (RFC 7323 section 2.3).
  std::uint8_t scale_to = 0;    // The one that the receiver was told.
  std::uint32_t stamp_delta = 0;
  std::optional<std::uint32_t> echo_delta;  // nullopt: the other side's offset is not known yet.
};

// 0 stays 0, and an open window stays open.
std::uint16_t translate_window(std::uint16_t window, std::uint8_t scale_from,
                               std::uint8_t scale_to);

// `header` is a whole TCP header with its options. Returns false, and changes nothing, if it is
// not. A truncated option ends the walk; the options before it are translated.
bool translate_tcp_header(std::span<std::uint8_t> header, const TcpTranslation& translation);

}  // namespace sni
