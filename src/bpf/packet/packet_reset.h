#pragma once

// A RST of the proxy's for an end whose connection no socket of ours has any more.

#include <cstdint>

#include "bpf/packet/packet_shared.h"
#include "core/error.h"

namespace sni {

// To the end whose packets arrive under `key`. `seq` is the next byte that it expects; another one
// inside its window only makes it ask (RFC 5961 section 3.2). Needs CAP_NET_RAW. `ifindex` is where
// its packets arrive, for link-local addresses.
Result<void> send_reset(const packet_key& key, std::uint32_t seq, std::uint32_t ifindex);

}  // namespace sni
