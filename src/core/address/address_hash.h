#pragma once

// Hashes of addresses for which nobody can prepare collisions without the key. Those of std::hash are
// the same with process_key(), so that no table of addresses can be made with any other.

#include <cstdint>

#include "core/address/address.h"
#include "core/siphash.h"

namespace sni {

std::uint64_t keyed_hash(const SipKey& key, const IpAddress& address);
std::uint64_t keyed_hash(const SipKey& key, const Endpoint& endpoint);

}  // namespace sni
