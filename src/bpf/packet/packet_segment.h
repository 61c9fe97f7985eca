#pragma once

// Segments from the proxy to an end whose connection has no socket here any more. In all functions
// `key` is that of the packets which arrive from that end, and `ifindex` is where they arrive, for
// link-local addresses.

#include <cstdint>
#include <optional>

#include "bpf/packet/packet_shared.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

// The numbers of a keepalive probe (RFC 9293 section 3.8.4): an empty segment one byte before the
// end's window. The end must answer it with an ACK (section 3.10.7.4) and takes nothing else from
// it.
struct ProbeNumbers {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t window = 0;  // As in the header, scaled.
  // The end may discard segments without a timestamp (RFC 7323 section 3.2). nullopt: it sends none
  // itself.
  std::optional<std::uint32_t> stamp;
  bool operator==(const ProbeNumbers&) const = default;
};
// `end` and `other` are the entries of a spliced flow; `now_ns` is CLOCK_MONOTONIC.
ProbeNumbers probe_numbers(const packet_flow& end, const packet_flow& other, std::uint64_t now_ns);

// Thread-safe.
class SegmentSender {
 public:
  // For flows of this thread's network namespace. Needs CAP_NET_RAW.
  static Result<SegmentSender> open();

  // `seq` is the next byte that the end expects; any other in its window only causes a challenge
  // ACK (RFC 5961 section 3.2).
  Result<void> reset(const packet_key& key, std::uint32_t seq, std::uint32_t ifindex) const;
  Result<void> probe(const packet_key& key, const ProbeNumbers& numbers,
                     std::uint32_t ifindex) const;

 private:
  const UniqueFd& socket_of(const packet_key& key) const {
    return key.family == PACKET_IPV4 ? v4_ : v6_;
  }

  UniqueFd v4_;
  UniqueFd v6_;  // None if the host has no IPv6.
};

}  // namespace sni
