#pragma once

// The flood: one sender of forged SYNs through a packet socket, and one that really connects, from
// addresses of its namespace. Both take 198.19.0.0/16 as sources and run until they are killed.

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

namespace sni::bench {

using HardwareAddress = std::array<unsigned char, ETH_ALEN>;

// `sent` counts frames that the interface accepted.
[[noreturn]] void flood_syns(const std::string& interface, const HardwareAddress& peer,
                             in_addr target, std::atomic<std::uint64_t>& sent);

// `ended` counts the connections that were established and then ended by the other side.
[[noreturn]] void flood_connections(in_addr target, std::atomic<std::uint64_t>& ended);

}  // namespace sni::bench
