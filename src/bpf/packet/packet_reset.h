#pragma once

// Sends an RST from the proxy to an end whose connection has no socket here any more.

#include <cstdint>

#include "bpf/packet/packet_shared.h"
#include "core/error.h"

namespace sni {

// To the end whose packets arrive under `key`. `seq` is the next byte that it expects; any other in
// its window only causes a challenge ACK (RFC 5961 section 3.2). `ifindex` is where its packets
// arrive, for link-local addresses. Needs CAP_NET_RAW.
Result<void> send_reset(const packet_key& key, std::uint32_t seq, std::uint32_t ifindex);

}  // namespace sni
